package cmd

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/caddy-minimize/minimize/module/consentstore"
)

// importVariable makes this test binary run one command instead of its tests: TestImportKilled kills it.
const importVariable = "MINIMIZE_TEST_COMMAND"

func TestMain(m *testing.M) {
	if args := os.Getenv(importVariable); args != "" {
		batchLines = 50 // so that there are many moments to be killed at
		c := consentCommand()
		c.SetArgs(strings.Split(args, "\n"))
		if c.Execute() != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// consent runs a consent command and returns its exit code and what it printed.
func consent(t *testing.T, in string, args ...string) (code int, out, errs string) {
	t.Helper()
	return runCommand(t, in, append([]string{"consent"}, args...)...)
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func newStore(t *testing.T) (flag string, open func() consentstore.Store) {
	t.Helper()
	return storeOf(t, "sqlite", filepath.Join(t.TempDir(), "consent.db"))
}

// storeOf is a store for the commands, and for the test beside them.
func storeOf(t *testing.T, kind, dsn string) (flag string, open func() consentstore.Store) {
	return "--store=" + kind + ":" + dsn, func() consentstore.Store {
		s, err := consentstore.Open(kind, dsn)
		if err == nil {
			err = s.Migrate(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
}

// stored is what a store holds, without what every import makes anew: the ids of entries.
func stored(t *testing.T, s consentstore.Store) map[string]shown {
	t.Helper()
	all := map[string]shown{}
	err := s.Export(t.Context(), "", func(found *consentstore.Subject) error {
		history, err := s.History(t.Context(), found.Subject)
		for i := range history {
			history[i].ID = ""
		}
		for i := range found.Records {
			found.Records[i].ID = ""
		}
		all[found.Subject] = shown{found, history}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestConsentUsage(t *testing.T) {
	file := write(t, "people.txt", goodLines)
	for _, args := range [][]string{
		{"imprt"},
		{"import"},
		{"import", file},
		{"import", "--format", "xml", file},
		{"import", "--format", "ndjson", "--dry-run", "-"},
		{"import", "--no-such-flag", file},
		{"export", "--format", "xml"},
		{"show"},
		{"show", "u-1", "u-2"},
		{"withdraw", "u-1"},
		{"withdraw", "--all", "--purpose", "ads", "u-1"},
		{"withdraw", "--all", "--recipient", "partner", "u-1"},
	} {
		code, _, errs := consent(t, "", append(args, "--store=sqlite:"+filepath.Join(t.TempDir(), "none.db"))...)
		if code != exitBroken || !strings.Contains(errs, "--help") {
			t.Errorf("%v: exit code %d, %q", args, code, errs)
		}
	}
}

func TestShowAndWithdraw(t *testing.T) {
	store, open := newStore(t)
	file := write(t, "people.ndjson", goodLines+
		`{"pii_principal_id":"u-1","purpose":"ads","recipient_third_party":"partner","event_state":"given","event_type":"separate","given_by":"self"}`+"\n"+
		`{"pii_principal_id":"u-1","purpose":"search","event_state":"given","event_type":"general","given_by":"self"}`+"\n"+
		`{"pii_principal_id":"u-1","purpose":"search","recipient_third_party":"partner","event_state":"given","event_type":"general","given_by":"self"}`+"\n")
	if code, _, errs := consent(t, "", "import", store, file); code != exitOK {
		t.Fatal(errs)
	}
	given := func() string {
		var names []string
		for _, r := range stored(t, open())["u-1"].Records {
			if !r.Given.IsZero() && r.Withdrawn.IsZero() {
				names = append(names, withdrawn{r.Purpose, r.Recipient}.String())
			}
		}
		return strings.Join(names, ", ")
	}
	for _, c := range []struct {
		args string
		code int
		out  string
		left string
	}{
		{"--purpose none u-1", exitFound, "", "ads, ads towards partner, search, search towards partner"},
		{"--purpose ads u-7", exitFound, "", "ads, ads towards partner, search, search towards partner"},
		{"--purpose ads --recipient partner u-1", exitOK, "withdrawn ads towards partner\n", "ads, search, search towards partner"},
		{"--purpose ads --recipient partner u-1", exitOK, "It is withdrawn already.\n", "ads, search, search towards partner"},
		{"--purpose ads --recipient partner --json u-1", exitOK, `{"withdrawn":[]}` + "\n", "ads, search, search towards partner"},
		{"--purpose ads u-1", exitOK, "withdrawn ads\n", "search, search towards partner"},
		{"--all --json u-1", exitOK, `{"withdrawn":[{"purpose":"search"},{"purpose":"search","recipient_third_party":"partner"}]}` + "\n", ""},
		{"--all u-1", exitOK, "It is withdrawn already.\n", ""},
	} {
		code, out, errs := consent(t, "", append([]string{"withdraw", store}, strings.Fields(c.args)...)...)
		if left := given(); code != c.code || out != c.out || left != c.left {
			t.Errorf("withdraw %s: %d %q %q, left %s", c.args, code, out, errs, left)
		}
		if strings.Contains(errs, "u-") {
			t.Errorf("withdraw %s: the error names the data subject: %q", c.args, errs)
		}
	}

	code, out, _ := consent(t, "", "show", store, "--history", "u-1")
	for _, want := range []string{"born 1990-05-04, accepted policy 6", "PURPOSE", "separate", "withdrawn 20", "2026-10-01 00:00:00Z", "command line"} {
		if !strings.Contains(out, want) {
			t.Errorf("%d: what is shown lacks %q:\n%s", code, want, out)
		}
	}
	code, out, _ = consent(t, "", "show", store, "--json", "--history", "u-1")
	if code != exitOK || len(gjson.Get(out, "history").Array()) < 6 || gjson.Get(out, "consents.0.purpose").Str != "ads" {
		t.Errorf("%d %s", code, out)
	}
	if code, out, errs := consent(t, "", "show", store, "u-7"); code != exitFound || out != "" || !strings.Contains(errs, "nothing is stored") {
		t.Errorf("of somebody unknown: %d %q %q", code, out, errs)
	}
}

// TestNoSuchStore: what only reads or withdraws makes no store, and neither does an import of a file with a bad line.
func TestNoSuchStore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "none.db")
	bad, good := write(t, "bad.ndjson", goodLines+"{}\n"), write(t, "good.ndjson", goodLines)
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"show u-1", exitBroken, "there is no such file: " + file},
		{"withdraw --all --yes u-1", exitBroken, "there is no such file: " + file},
		{"export", exitBroken, "there is no such file: " + file},
		{"import " + bad, exitFound, "line 5"},
		{"import --dry-run " + good, exitOK, ""},
	} {
		code, out, errs := consent(t, "", append(strings.Fields(c.args), "--store=sqlite:"+file)...)
		if code != c.code || !strings.Contains(errs, c.want) || !isMissing(file) {
			t.Errorf("%s: %d %q %q, want %d %q and no file", c.args, code, out, errs, c.code, c.want)
		}
	}
	if code, _, errs := consent(t, "", "import", "--store=sqlite:"+file, good); code != exitOK || !strings.Contains(errs, "a new store: "+file) {
		t.Errorf("importing into a new one: %d %q", code, errs)
	}
	if code, _, errs := consent(t, "", "show", "--store=sqlite:"+file, "u-1"); code != exitOK || errs != "" {
		t.Errorf("showing what was imported: %d %q", code, errs)
	}
}

func TestStateOf(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2026, 11, d, 0, 0, 0, 0, time.UTC) }
	for _, c := range []struct {
		r    consentstore.Record
		want string
	}{
		{consentstore.Record{Given: day(1)}, "given"},
		{consentstore.Record{Given: day(1), Entry: consentstore.Entry{Expires: day(30)}}, "given until 2026-11-30 00:00:00Z"},
		{consentstore.Record{Given: day(1), Entry: consentstore.Entry{Expires: day(22)}}, "expired 2026-11-22 00:00:00Z"},
		{consentstore.Record{Given: day(1), Withdrawn: day(2), Objected: day(3)}, "withdrawn 2026-11-02 00:00:00Z, objected 2026-11-03 00:00:00Z"},
		{consentstore.Record{Restricted: day(4)}, "restricted 2026-11-04 00:00:00Z"},
		{consentstore.Record{}, "nothing given"},
	} {
		if got, _ := stateOf(&c.r, day(22)); got != c.want {
			t.Errorf("%+v is %q, want %q", c.r, got, c.want)
		}
	}
}

// TestWhichStore: the store is the one that is named nearest, and no error repeats a password.
func TestWhichStore(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("SOME_DSN", "postgres://u:SECRET@db/consents")
	for name, text := range map[string]string{
		"sqlite":   "{\n\tminimize {\n\t\trules r.yaml\n\t\tconsent sqlite here.db\n\t}\n}\n",
		"postgres": "{\n\tminimize {\n\t\trules r.yaml\n\t\tconsent postgres {env.SOME_DSN}\n\t}\n}\n",
		"unset":    "{\n\tminimize {\n\t\trules r.yaml\n\t\tconsent postgres {env.NO_DSN}\n\t}\n}\n",
		"none":     "{\n\tminimize {\n\t\trules r.yaml\n\t}\n}\n",
		"c.json":   `{"apps":{"minimize":{"consent":{"store":"sqlite","dsn":"/x/consent.db"}}}}`,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ flags, env, kind, dsn, err string }{
		{"--store=sqlite:a/b.db", "sqlite:other.db", "sqlite", "a/b.db", ""},
		{"--store=postgres://u:SECRET@h/d", "", "postgres", "postgres://u:SECRET@h/d", ""},
		{"--store=postgres:host=h dbname=d", "", "postgres", "host=h dbname=d", ""},
		{"--store=host=h dbname=d password=a:b", "", "postgres", "host=h dbname=d password=a:b", ""},
		{"--store=mysql://u:SECRET@h/d", "", "", "", "it is sqlite:PATH or postgres://"},
		{"--store=sqlite:", "", "", "", "it is sqlite:PATH or postgres://"},
		{"", "postgresql://h/d", "postgres", "postgresql://h/d", ""},
		{"--config=sqlite", "sqlite:other.db", "sqlite", filepath.Join(dir, "here.db"), ""},
		{"--config=postgres", "", "postgres", "postgres://u:SECRET@db/consents", ""},
		{"--config=unset", "", "", "", "a placeholder of `consent` is empty"},
		{"--config=none", "", "", "", "has no `consent`"},
		{"--config=c.json", "", "sqlite", "/x/consent.db", ""},
		{"--config=missing", "", "", "", "reading the configuration"},
		{"--config=none\n--store=sqlite:x", "", "", "", "either --store or --config"},
		{"", "", "", "", "there is no ./Caddyfile here"},
	} {
		t.Setenv(dsnVariable, c.env)
		command := consentCommand()
		if err := command.ParseFlags(strings.Fields(strings.ReplaceAll(c.flags, " ", "\x00"))); err != nil {
			t.Fatal(err)
		}
		kind, dsn, err := whichStore(command)
		dsn = strings.ReplaceAll(dsn, "\x00", " ")
		if kind != c.kind || dsn != c.dsn || (err != nil) != (c.err != "") {
			t.Errorf("%q %q: %q %q, %v", c.flags, c.env, kind, dsn, err)
		}
		if err != nil && (!strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "SECRET")) {
			t.Errorf("%q: %v, want %q", c.flags, err, c.err)
		}
	}
}

func TestProgressText(t *testing.T) {
	for _, c := range []struct {
		total, from, done int
		took              time.Duration
		want              string
	}{
		{0, 0, 1234, 2 * time.Second, "1,234 lines  617/s"},
		{1000, 0, 500, 5 * time.Second, "[███████████████···············]  50%  500 of 1,000 lines  100/s  5s left"},
		{1000, 400, 500, 5 * time.Second, "[███████████████···············]  50%  500 of 1,000 lines  20/s  25s left"},
		{1000, 0, 1000, 10 * time.Second, "[██████████████████████████████] 100%  1,000 of 1,000 lines  100/s  0s left"},
	} {
		p := &progress{what: "lines", total: c.total, from: c.from}
		if got := p.text(c.done, c.took); got != c.want {
			t.Errorf("%d of %d is %q, want %q", c.done, c.total, got, c.want)
		}
	}
}

// TestWithdrawAsks: only yes is yes.
func TestWithdrawAsks(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "YES\n": true, "\n": false, "": false, "no\n": false} {
		c := withdrawCommand()
		c.SetIn(strings.NewReader(answer))
		c.SetErr(io.Discard)
		if got := (&withdrawal{}).confirmed(c, nil); got != want {
			t.Errorf("%q is %v", answer, got)
		}
	}
}
