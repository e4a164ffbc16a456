package cmd

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
		_, err := fmt.Fprintf(c, `{"time":"2026-11-%02dT10:00:00.000Z","decision":"d%d","direction":"response","caller":"%s","role":"%s","purpose":"care",%s}`+"\n",
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
	if !strings.HasPrefix(out, "seq,time,decision,") || !strings.Contains(out, "\n8,2026-11-08T10:00:00.000Z,d7,response,,hm1_2026-11_") {
		t.Error(out)
	}
	for _, args := range []string{"query --from yesterday x", "verify --head 5 x", "verify", "query " + filepath.Join(keys, "nothing"), "query " + filepath.Join(keys, "2026-11"), "export --keys " + keys + "x --caller a " + file, "sing"} {
		if out, errs, failed := runAudit(t, strings.Fields(args)...); !failed || out != "" || errs == "" {
			t.Errorf("%s: %v, %q, %q", args, failed, out, errs)
		}
	}
}
