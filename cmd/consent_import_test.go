package cmd

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/caddy-minimize/minimize/module/consentstore"
	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/test/postgres"
)

const goodLines = `{"pii_principal_id":"u-1","purpose":"ads","event_state":"given","event_type":"explicit","given_by":"self","event_time":"2026-10-01T00:00:00Z"}

{"pii_principal_id":"u-1","birth_date":"1990-05-04","policy_version":6}
{"case_id":"T-1","kind":"ticket","pii_principal_id":"u-2","roles":["support"]}
`

func TestImport(t *testing.T) {
	store, open := newStore(t)
	file := write(t, "people.ndjson", goodLines)
	code, out, errs := consent(t, "", "import", store, "--dry-run", file)
	if code != exitOK || out != "Checked: read 3 lines: 1 entry, 1 profile, 1 case\n" || errs != "" {
		t.Errorf("--dry-run: %d %q %q", code, out, errs)
	}
	if held := stored(t, open()); len(held) != 0 {
		t.Errorf("--dry-run stored %d data subjects", len(held))
	}
	for _, want := range []string{
		"Imported: read 3 lines: 1 entry, 1 profile, 1 case\n",
		"Imported: read 0 lines: 0 entries, 0 profiles, 0 cases; continued behind line 4\n",
	} {
		if code, out, errs = consent(t, "", "import", store, file); code != exitOK || out != want || errs != "" {
			t.Errorf("%d %q %q, want %q", code, out, errs, want)
		}
	}
	code, out, _ = consent(t, "", "import", store, "--again", "--json", file)
	if code != exitOK || gjson.Get(out, "lines").Int() != 3 || gjson.Get(out, "changed").Bool() || gjson.Get(out, "stored_to_line").Int() != 4 {
		t.Errorf("--again: %d %q", code, out)
	}
	if _, out, _ = consent(t, "", "import", store, "--again", file); !strings.HasSuffix(out, "1 case; all of it was known\n") {
		t.Errorf("--again says that something is new: %q", out)
	}
	held := stored(t, open())
	if len(held) != 2 || len(held["u-1"].History) != 1 || held["u-1"].Born != "1990-05-04" || len(held["u-2"].Cases) != 1 {
		t.Errorf("stored: %+v", held)
	}
}

// TestImportBad: of a file with a bad line nothing is stored, unless such lines are to be skipped. Of standard input what
// stands before it is.
func TestImportBad(t *testing.T) {
	const text = goodLines + `{"pii_principal_id":"SECRET","minor":"SECRET"}` + "\n" + `{"pii_principal_id":"u-3","minor":true}` + "\n"
	file := write(t, "people.ndjson", text)
	for _, c := range []struct {
		name, in string
		args     []string
		code     int
		held     int
	}{
		{"a file", "", []string{file}, exitFound, 0},
		{"skipping", "", []string{"--skip-bad", file}, exitOK, 3},
		{"standard input", text, []string{"--format", "ndjson", "-"}, exitFound, 2},
		{"skipping in it", text, []string{"--format", "ndjson", "--skip-bad", "-"}, exitOK, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			store, open := newStore(t)
			code, out, errs := consent(t, c.in, append([]string{"import", store}, c.args...)...)
			if code != c.code || !strings.Contains(errs, "line 5: minor is not of its type") || strings.Contains(errs+out, "SECRET") {
				t.Errorf("%d %q %q", code, out, errs)
			}
			if c.code == exitOK && !strings.Contains(out, "1 bad line") {
				t.Errorf("the bad line is not counted: %q", out)
			}
			if held := stored(t, open()); len(held) != c.held {
				t.Errorf("stored %d data subjects, want %d", len(held), c.held)
			}
		})
	}
}

// TestImportConflict: a case that belongs to another data subject is found among the lines of its transaction.
func TestImportConflict(t *testing.T) {
	var text strings.Builder
	for i := range 9 {
		fmt.Fprintf(&text, `{"case_id":"T-%d","kind":"ticket","pii_principal_id":"u-%d"}`+"\n", i, i)
	}
	text.WriteString(`{"case_id":"T-4","kind":"ticket","pii_principal_id":"u-5"}` + "\n" + `{"pii_principal_id":"u-9","minor":true}` + "\n")
	file := write(t, "cases.ndjson", text.String())
	store, open := newStore(t)
	code, out, errs := consent(t, "", "import", store, file)
	if code != exitFound || !strings.Contains(errs, "line 10: it contradicts what is stored") || !strings.HasPrefix(out, "Stopped behind line 9: read 9 lines") {
		t.Errorf("%d %q %q", code, out, errs)
	}
	code, out, _ = consent(t, "", "import", store, "--skip-bad", file)
	if code != exitOK || !strings.Contains(out, "Imported: read 1 line:") || !strings.Contains(out, "continued behind line 9") {
		t.Errorf("%d %q", code, out)
	}
	if held := stored(t, open()); len(held) != 10 || held["u-4"].Cases[0].ID != "T-4" {
		t.Errorf("stored: %d data subjects", len(held))
	}
}

// TestImportGuardian: a consent that a guardian gave is not replaced by one's own, and a history with both is imported again
// as often as one likes.
func TestImportGuardian(t *testing.T) {
	const line = `{"pii_principal_id":"u-1","purpose":"ads","event_state":"given","event_type":"explicit","given_by":"%s","event_time":"2026-10-0%dT00:00:00Z"}` + "\n"
	store, open := newStore(t)
	file := write(t, "both.ndjson", fmt.Sprintf(line, "self", 1)+fmt.Sprintf(line, "guardian", 2))
	for range 2 {
		if code, out, errs := consent(t, "", "import", store, "--again", file); code != exitOK {
			t.Fatalf("%d %q %q", code, out, errs)
		}
	}
	code, out, errs := consent(t, "", "import", store, write(t, "self.ndjson", fmt.Sprintf(line, "self", 3)))
	if code != exitFound || out != "" || !strings.Contains(errs, "line 1: it contradicts what is stored") {
		t.Errorf("%d %q %q", code, out, errs)
	}
	if held := stored(t, open())["u-1"]; len(held.History) != 2 || held.Records[0].GivenBy != "guardian" {
		t.Errorf("stored: %+v", held)
	}
}

// randomHistory is what happened to some people, with times that grow.
func randomHistory(r *rand.Rand) (b consentstore.Batch) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	for range 60 {
		at = at.Add(time.Duration(1+r.IntN(100_000)) * time.Millisecond)
		e := consentstore.Entry{
			Subject: pick("u-1", "u-2", "u \"3\", = x", "用户-4"), Purpose: pick("ads", "search"), Recipient: pick("", "partner"), At: at,
			Event:    consentstore.Event(pick("given", "given", "withdrawn", "objected", "objection_lifted", "restricted", "restriction_lifted")),
			Evidence: pick("", "form-7"), Entity: pick("", "g-1"),
		}
		switch e.Event {
		case consentstore.Give:
			e.Level, e.GivenBy, e.Policy = pick("bundled", "explicit", "written"), "self", r.IntN(7)
			if e.Subject == "用户-4" {
				e.GivenBy = "guardian"
			}
			if r.IntN(2) == 0 {
				e.Categories, e.Expires = []rules.Category{"contact", "device.imei"}, at.AddDate(1, 0, 0)
			}
		case consentstore.Object:
			e.GPC = r.IntN(2) == 0
		}
		b.Entries = append(b.Entries, e)
	}
	b.Profiles = []consentstore.Profile{
		{Subject: "u-1", Born: "2011-05-04", Minor: true, Guardians: []string{"g-1", "g-2"}, Policy: 6},
		{Subject: "用户-4", Ended: at},
	}
	b.Cases = []consentstore.Case{
		{ID: "T-1", Kind: "ticket", Subject: "u-1", Callers: []string{"c 1"}, Roles: []string{"support", "legal"}, Ends: at},
		{ID: "T-2", Kind: "order", Subject: "only-a-case"},
	}
	return b
}

// TestRoundTripPostgres: the same as TestRoundTrip, from one kind of store into the other.
func TestRoundTripPostgres(t *testing.T) {
	cluster := postgres.Start(t)
	from, open := newStore(t)
	s := open()
	if _, err := s.Apply(t.Context(), randomHistory(rand.New(rand.NewPCG(7, 0)))); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "all.ndjson")
	if code, _, errs := consent(t, "", "export", from, "--output", file); code != exitOK {
		t.Fatal(errs)
	}
	to, openTo := storeOf(t, "postgres", cluster.NewDatabase(t))
	if code, _, errs := consent(t, "", "import", to, file); code != exitOK {
		t.Fatal(errs)
	}
	if want, got := stored(t, s), stored(t, openTo()); !reflect.DeepEqual(want, got) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

// TestRoundTrip: what is exported makes the same state and the same history in an empty store.
func TestRoundTrip(t *testing.T) {
	for seed := range uint64(4) {
		for _, format := range []string{formatNDJSON, formatCSV} {
			from, openFrom := newStore(t)
			s := openFrom()
			b := randomHistory(rand.New(rand.NewPCG(seed, 0)))
			if _, err := s.Apply(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "all."+format)
			if code, _, errs := consent(t, "", "export", from, "--format", format, "--output", file); code != exitOK {
				t.Fatal(errs)
			}
			to, openTo := newStore(t)
			if code, _, errs := consent(t, "", "import", to, file); code != exitOK {
				t.Fatal(errs)
			}
			want, got := stored(t, s), stored(t, openTo())
			if len(want) != 5 || !reflect.DeepEqual(want, got) {
				t.Errorf("seed %d, %s:\n%+v\nwant\n%+v", seed, format, got, want)
			}
			_, out, _ := consent(t, "", "export", to, "--format", format)
			_, again, _ := consent(t, "", "export", from, "--format", format)
			if strings.Count(out, "\n") != strings.Count(again, "\n") {
				t.Errorf("seed %d, %s: the copy's export is another one", seed, format)
			}
		}
	}
}

func TestExportCSVRefusesLists(t *testing.T) {
	store, open := newStore(t)
	b := consentstore.Batch{Profiles: []consentstore.Profile{{Subject: "u-1", Guardians: []string{"SECRET;1"}}}}
	if _, err := open().Apply(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	code, _, errs := consent(t, "", "export", store, "--format", "csv")
	if code != exitFound || !strings.Contains(errs, "--format ndjson") || strings.Contains(errs, "SECRET") {
		t.Errorf("%d %q", code, errs)
	}
}

// TestImportKilled kills an import with SIGKILL, again and again, each time somewhere else. What the last one leaves is what
// one run makes: each consent is given and withdrawn several times, without a time, so that a line stored twice would show.
func TestImportKilled(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		store, open := newStore(t)
		testImportKilled(t, store, open)
	})
	t.Run("postgres", func(t *testing.T) {
		store, open := storeOf(t, "postgres", postgres.Start(t).NewDatabase(t))
		testImportKilled(t, store, open)
	})
}

func testImportKilled(t *testing.T, store string, open func() consentstore.Store) {
	const subjects, rounds = 300, 8
	var text strings.Builder
	for round := range rounds {
		for i := range subjects {
			event := `"given","event_type":"explicit","given_by":"self"`
			if round%2 == 1 {
				event = `"withdrawn"`
			}
			fmt.Fprintf(&text, `{"pii_principal_id":"u-%d","purpose":"ads","event_state":%s}`+"\n", i, event)
		}
	}
	file := write(t, "history.ndjson", text.String())
	hash := fmt.Sprintf("%x", sha256.Sum256([]byte(text.String())))
	s := open()
	last := func() int {
		line, err := s.Imported(t.Context(), hash)
		if err != nil {
			t.Fatal(err)
		}
		return line
	}
	kills := 0
	for r := rand.New(rand.NewPCG(1, 1)); last() < subjects*rounds; kills++ {
		command := exec.Command(os.Args[0])
		command.Env = append(os.Environ(), importVariable+"=import\n"+store+"\n"+file)
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { _ = command.Wait(); close(ended) }()
		for until := last() + r.IntN(200); last() < until; {
			select {
			case <-ended:
				until = 0
			case <-time.After(time.Millisecond):
			}
		}
		if kills > 1000 {
			t.Fatal("the import does not get on")
		}
		_ = command.Process.Kill() // unless it is done
		<-ended
	}
	t.Logf("killed %d times", kills)
	wrong := 0
	for _, held := range stored(t, s) {
		if len(held.History) != rounds {
			wrong++
		}
		for i, e := range held.History {
			if want := []consentstore.Event{consentstore.Give, consentstore.Withdraw}[i%2]; e.Event != want {
				wrong++
			}
		}
	}
	if n := len(stored(t, s)); n != subjects || wrong > 0 {
		t.Errorf("%d data subjects, %d wrong histories", n, wrong)
	}
}
