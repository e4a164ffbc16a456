package cmd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/caddy-minimize/minimize/module/auditlog"
	"github.com/caddy-minimize/minimize/rules"
)

// auditOf writes a log of n entries, by callers of three roles, one in ten refused.
func auditOf(t testing.TB, n int) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := bufio.NewWriter(f)
	defer out.Flush()
	c := auditlog.NewChain(out, auditlog.Head{})
	ring := must(rules.NewKeyRing(map[string][]byte{"2026-11": []byte("a key of the audit log's callers")}))
	for i := range n {
		role, end := []string{"support", "courier", "none"}[i%3], `"outcome":"minimized","values":{"contact.phone mask":2,"order keep":1}`
		if i%10 == 0 {
			end = `"outcome":"refused","reason":"limit","rule":"no-export","values":{}`
		}
		token := ring.Append(nil, "audit", "caller", fmt.Appendf(nil, "c-%d", i%5))
		_, err := fmt.Fprintf(c, `{"time":"2026-11-%02dT10:00:00.000Z","decision":"d%d","direction":"response","caller":"%s","role":"%s","purpose":"care",%s,"node":"gateway-1",`+
			`"subjects":1,"people":[{"token":"%[3]s","consent":{"given":"2026-10-02T08:15:00Z","level":"explicit","policy":6}}]}`+"\n",
			1+i%28, i, token, role, end)
		if err != nil {
			t.Fatal(err)
		}
	}
	return file
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func runAudit(t testing.TB, args ...string) (out, errs string, failed bool) {
	t.Helper()
	root := &cobra.Command{Use: "minimize"}
	root.AddCommand(auditCommand())
	var o, e bytes.Buffer
	root.SetOut(&o)
	root.SetErr(&e)
	root.SetArgs(append([]string{"audit"}, args...))
	err := root.Execute()
	return o.String(), e.String(), err != nil
}

// TestAuditVerify: what was done to a log is named by file and line, also in a long one:
// MINIMIZE_LONG=1 makes it a million entries.
func TestAuditVerify(t *testing.T) {
	entries := 20_000
	if os.Getenv("MINIMIZE_LONG") != "" {
		entries = 1_000_000
	}
	file := auditOf(t, entries)
	out, _, failed := runAudit(t, "verify", file)
	if failed || !strings.Contains(out, " entries, unbroken. The head is\n"+fmt.Sprint(entries)+":") {
		t.Fatalf("%v %s", failed, out)
	}
	head := strings.Split(out, "\n")[1]
	data := must(os.ReadFile(file))
	lines := bytes.SplitAfter(data, []byte("\n"))
	at := entries / 2
	start := len(bytes.Join(lines[:at], nil))
	for _, c := range []struct {
		name   string
		change func(f io.WriterAt)
		want   string
	}{
		{"one byte", func(f io.WriterAt) { f.WriteAt([]byte("X"), int64(start+len(lines[at])-20)) }, fmt.Sprintf(":%d: this entry was changed", at+1)},
		{"two swapped", func(f io.WriterAt) { f.WriteAt(append(bytes.Clone(lines[at+1]), lines[at]...), int64(start)) }, fmt.Sprintf(":%d: the entries from %d to %d are missing", at+1, at+1, at+1)},
		{"one removed", func(f io.WriterAt) {
			f.WriteAt(append(bytes.Join(lines[at+1:], nil), bytes.Repeat([]byte("\n"), len(lines[at]))...), int64(start))
		},
			fmt.Sprintf(":%d: the entries from %d to %d are missing", at+1, at+1, at+1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := must(os.OpenFile(file, os.O_RDWR, 0))
			c.change(f)
			f.Close()
			if out, _, failed := runAudit(t, "verify", file); !failed || !strings.Contains(out, c.want) {
				t.Errorf("%v\n%.500s\nwant %s", failed, out, c.want)
			}
			os.WriteFile(file, data, 0o600)
		})
	}
	if err := os.Truncate(file, int64(start)); err != nil {
		t.Fatal(err)
	}
	if out, _, failed := runAudit(t, "verify", file); failed {
		t.Errorf("nobody can see that without a head: %s", out)
	}
	if out, _, failed := runAudit(t, "verify", "--head", head, "--json", file); !failed || !strings.Contains(out, "its end was removed") {
		t.Errorf("%v %s", failed, out)
	}
}

// TestAuditPruned: that the first entries are not there is a finding, also where a head was noted behind them, unless who asks says that
// rotation removed them. How many they are is told then, and the rest and the head have to hold.
func TestAuditPruned(t *testing.T) {
	file := auditOf(t, 50)
	out, _, _ := runAudit(t, "verify", file)
	head := strings.Split(out, "\n")[1]
	lines := bytes.SplitAfter(must(os.ReadFile(file)), []byte("\n"))
	os.WriteFile(file, bytes.Join(lines[20:], nil), 0o600)
	const gone = ":1: the log begins with entry 21: the 20 entries before it are not there"
	for _, args := range [][]string{{"verify", file}, {"verify", "--head", head, file}} {
		if out, _, failed := runAudit(t, args...); !failed || !strings.Contains(out, file+gone) || !strings.Contains(out, "say --pruned") {
			t.Errorf("%v: %v %s", args, failed, out)
		}
	}
	for _, args := range [][]string{{"verify", "--pruned", file}, {"verify", "--pruned", "--head", head, file}} {
		if out, _, failed := runAudit(t, args...); failed || !strings.Contains(out, "30 entries, unbroken") || !strings.Contains(out, "the first 20 entries") {
			t.Errorf("%v: %v %s", args, failed, out)
		}
	}
	var verified struct {
		Missing  uint64
		Findings []auditlog.Finding
	}
	if out, _, failed := runAudit(t, "verify", "--json", "--pruned", "--head", head, file); failed || json.Unmarshal([]byte(out), &verified) != nil || verified.Missing != 20 || len(verified.Findings) > 0 {
		t.Errorf("%v %s", failed, out)
	}
	os.WriteFile(file, bytes.Join(lines[20:40], nil), 0o600)
	if out, _, failed := runAudit(t, "verify", "--pruned", "--head", head, file); !failed || !strings.Contains(out, "its end was removed") {
		t.Errorf("%v %s", failed, out)
	}
}

// TestAuditTampered: who reads a log that is not what was written is told so, and where; what it shows is shown nevertheless.
func TestAuditTampered(t *testing.T) {
	file := auditOf(t, 50)
	data := must(os.ReadFile(file))
	lines := bytes.SplitAfter(data, []byte("\n"))
	changed := filepath.Join(t.TempDir(), "changed.jsonl")
	os.WriteFile(changed, bytes.Replace(data, []byte(`"decision":"d7"`), []byte(`"decision":"d6"`), 1), 0o600)
	removed := filepath.Join(t.TempDir(), "removed.jsonl")
	os.WriteFile(removed, bytes.Join(append(lines[:30:30], lines[33:]...), nil), 0o600)
	pruned := filepath.Join(t.TempDir(), "audit-2026-11-22T09-00-00.000.jsonl")
	os.WriteFile(pruned, bytes.Join(lines[20:40], nil), 0o600)
	os.WriteFile(filepath.Join(filepath.Dir(pruned), "audit.jsonl"), bytes.Join(lines[40:], nil), 0o600)
	for _, c := range []struct{ log, want string }{
		{file, ""}, {changed, changed + ":8: this entry was changed"}, {removed, removed + ":31: the entries from 31 to 33 are missing"},
		{filepath.Dir(pruned), ""}, {file + " " + filepath.Dir(pruned), ""}, // of two gateways
	} {
		for _, command := range []string{"query", "query --summary", "export"} {
			out, errs, failed := runAudit(t, strings.Fields(command+" --role support "+c.log)...)
			if out == "" || failed != (c.want != "") || !strings.Contains(errs, c.want) || failed != strings.Contains(errs, "not what was written") {
				t.Errorf("%s %s: %v, %q", command, c.log, failed, errs)
			}
		}
	}
}

// TestAuditQuery: an entry is shown if each flag agrees with it.
func TestAuditQuery(t *testing.T) {
	file := auditOf(t, 100)
	keys := t.TempDir()
	os.WriteFile(filepath.Join(keys, "2026-11"), []byte("a key of the audit log's callers"), 0o600)
	for _, c := range []struct {
		args string
		want int
	}{
		{"", 100}, {"--role support", 34}, {"--role support,courier", 67}, {"--reason limit --role support", 4}, {"--category contact", 90},
		{"--category contact.email", 0}, {"--category order --decision d7", 1}, {"--caller c-1", 0}, {"--caller c-1 --keys " + keys, 20},
		{"--from 2026-11-03 --until 2026-11-04", 8}, {"--from 2026-11-03T10:00:00Z --until 2026-11-03T10:00:01Z", 4}, {"--rule no-export --outcome refused --direction response --purpose care", 10},
	} {
		out, errs, failed := runAudit(t, append(append([]string{"query", "--json"}, strings.Fields(c.args)...), file)...)
		if n := strings.Count(out, "\n"); n != c.want || failed != (c.want == 0) {
			t.Errorf("%s: %d entries, %v %s, want %d", c.args, n, failed, errs, c.want)
		}
	}
	out, _, _ := runAudit(t, "query", "--decision", "d7,d10", file)
	want := "2026-11-08T10:00:00.000Z  courier                   care              minimized               contact.phone mask ×2, order keep ×1\n" +
		"2026-11-11T10:00:00.000Z  courier                   care              refused: limit no-export\n"
	if out != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
	out, _, _ = runAudit(t, "export", "--decision", "d7", file)
	if !strings.HasPrefix(out, "seq,time,decision,") || !strings.Contains(out, "\n8,2026-11-08T10:00:00.000Z,d7,gateway-1,response,,hm1_2026-11_") {
		t.Error(out)
	}
	for _, args := range []string{"query --from yesterday x", "verify --head 5 x", "verify", "query " + filepath.Join(keys, "nothing"), "query " + filepath.Join(keys, "2026-11"), "export --keys " + keys + "x --caller a " + file, "sing"} {
		if out, errs, failed := runAudit(t, strings.Fields(args)...); !failed || out != "" || errs == "" {
			t.Errorf("%s: %v, %q, %q", args, failed, out, errs)
		}
	}
}

// aboutPeople writes a log in which u-1 is told of by several, seldom alone.
func aboutPeople(t *testing.T) (file, keys string) {
	t.Helper()
	keys = t.TempDir()
	file = filepath.Join(t.TempDir(), "audit.jsonl")
	var log bytes.Buffer
	c := auditlog.NewChain(&log, auditlog.Head{})
	write := func(key, at, text string, people ...string) {
		ring := must(rules.NewKeyRing(map[string][]byte{key: []byte("a key of the audit log's subjects " + key)}))
		os.WriteFile(filepath.Join(keys, key), []byte("a key of the audit log's subjects "+key), 0o600)
		subjects := len(people)
		if subjects == 20 {
			subjects = 50
		}
		var list []string
		for _, id := range people {
			list = append(list, `{"token":"`+auditlog.Token(ring, auditlog.Subject, id)+`"}`)
		}
		text = strings.ReplaceAll(text, "SUBJECT", auditlog.Token(ring, auditlog.Subject, "u-1"))
		fmt.Fprintf(c, `{"time":"%s","decision":"d",%s,"subjects":%d,"people":[%s]}`+"\n", at, text, subjects, strings.Join(list, ","))
	}
	support := `"direction":"response","caller":"hm1_b","role":"support","purpose":"care","mode":"enforce","outcome":"minimized","values":{"contact.phone mask":2,"order keep":1}`
	write("2026-10", "2026-10-01T10:00:00.000Z", support, "u-1")
	write("2026-11", "2026-11-02T10:00:00.000Z", support, "u-2", "u-1")
	write("2026-11", "2026-11-03T10:00:00.000Z", strings.Replace(support, "minimized", "refused", 1))
	write("2026-11", "2026-11-03T11:00:00.000Z", support, "u-2")
	write("2026-11", "2026-11-04T10:00:00.000Z", strings.NewReplacer("care", "fraud", "support", "risk", "enforce", "report").Replace(support), "u-1")
	write("2026-11", "2026-11-05T10:00:00.000Z", `"direction":"egress","role":"risk","recipient":"ads","recipient_country":"US","purpose":"advertising","mode":"enforce","outcome":"passed","values":{"device pseudonymize":1200}`, "u-1")
	write("2026-11", "2026-11-06T10:00:00.000Z", `"direction":"consent","event":"read","subject":"SUBJECT","role":"dpo","purpose":""`)
	write("2026-11", "2026-11-07T10:00:00.000Z", strings.Replace(support, "hm1_b", "hm1_a", 1), slices.Repeat([]string{"u-2"}, 20)...)
	if err := os.WriteFile(file, log.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, keys
}

// TestAuditSummary: who received what about this person, whichever key was current then.
func TestAuditSummary(t *testing.T) {
	file, keys := aboutPeople(t)
	out, errs, failed := runAudit(t, "query", "--subject", "u-1", "--keys", keys, "--summary", file)
	want := `dpo
  consent read ×1, 2026-11-06 10:00Z

us → ads in US  advertising
  1 message, 1 about nobody else, 2026-11-05 10:00Z
  device  pseudonymized ×1,200

risk  fraud
  1 message, 1 about nobody else, 2026-11-04 10:00Z
  Report mode: everything was sent as it came.
  contact.phone  kept ×2
  order          kept ×1

support  care
  2 messages, 1 about nobody else, 2026-10-01 10:00Z to 2026-11-02 10:00Z
  contact.phone  masked ×4
  order          kept ×2

Values are counted over whole messages: where one is about others too, theirs are among them.
`
	if failed || out != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
	if errs != "1 more tell of so many people that not all are named: they may be about that, too.\n" {
		t.Errorf("got %q", errs)
	}
	var received struct {
		Entries  int
		Received []auditlog.Received
	}
	out, _, _ = runAudit(t, "query", "--subject", "u-1", "--keys", keys, "--recipient", "ads", "--summary", "--json", file)
	if err := json.Unmarshal([]byte(out), &received); err != nil || received.Entries != 1 || received.Received[0].Values["device"]["pseudonymize"] != 1200 {
		t.Errorf("%v: %s", err, out)
	}
	if out, _, _ := runAudit(t, "query", "--role", "support", "--until", "2026-11-03", "--summary", file); out !=
		"support  care\n  3 messages, 1 refused, 2026-10-01 10:00Z to 2026-11-03 11:00Z\n  contact.phone  masked ×6\n  order          kept ×3\n" {
		t.Errorf("got %s", out)
	}
	out, _, _ = runAudit(t, "query", "--direction", "response", "--summary", "--by-caller", file)
	if first, _, _ := strings.Cut(out, "\n\n"); first != "support hm1_a  care\n  1 message, 2026-11-07 10:00Z\n  50 data subjects, those of each message added up\n"+
		"  contact.phone  masked ×2\n  order          kept ×1" || strings.Count(out, "support hm1_") != 2 {
		t.Errorf("by caller it says %s", out)
	}
	if _, errs, failed := runAudit(t, "query", "--by-caller", file); !failed || !strings.Contains(errs, "it is for --summary") {
		t.Errorf("without a summary it says %s", errs)
	}
	if out, _, failed := runAudit(t, "query", "--subject", "u-9", "--keys", keys, "--summary", file); !failed || out != "" {
		t.Errorf("of nobody it says %q", out)
	}
}

// TestAuditQueryNeedsKeys: an id is in no entry, so that without keys nobody may conclude that there is nothing about it.
func TestAuditQueryNeedsKeys(t *testing.T) {
	log := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.WriteFile(log, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"--subject", "--caller", "--case"} {
		if _, errs, failed := runAudit(t, "query", flag, "u-1", log); !failed || !strings.Contains(errs, "--keys") {
			t.Errorf("%s: %s", flag, errs)
		}
		if _, errs, _ := runAudit(t, "query", flag, "hm1_k_0123456789abcdefghjkmnpqrs", log); strings.Contains(errs, "--keys") {
			t.Errorf("%s with a token: %s", flag, errs)
		}
	}
}
