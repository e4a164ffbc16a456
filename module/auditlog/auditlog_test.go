package auditlog

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// written is a log of n entries, by lines.
func written(t testing.TB, n int, words ...string) [][]byte {
	var log bytes.Buffer
	c := NewChain(&log, Head{})
	for i := range n {
		if _, err := fmt.Fprintf(c, "{\"decision\":\"d%d%s\",\"values\":{\"contact.phone mask\":%d}}\n", i, words, i%7); err != nil {
			t.Fatal(err)
		}
	}
	return bytes.SplitAfter(bytes.TrimSuffix(log.Bytes(), []byte("\n")), []byte("\n"))
}

func verify(t *testing.T, files ...[]byte) *Verifier {
	t.Helper()
	dir := t.TempDir()
	var names []string
	for i, data := range files {
		names = append(names, filepath.Join(dir, fmt.Sprintf("audit-%c.jsonl", 'z'-i)))
		if err := os.WriteFile(names[i], data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	v := &Verifier{}
	if err := Read(names, func(e Entry) error { v.Next(e); return nil }); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestVerify: whatever is done to a log is found, where it was done.
func TestVerify(t *testing.T) {
	const n = 50
	for _, c := range []struct {
		name   string
		change func(lines [][]byte) [][]byte
		line   int // of the finding; 0: there is none
		what   string
	}{
		{"as it was written", func(l [][]byte) [][]byte { return l }, 0, ""},
		{"one byte", func(l [][]byte) [][]byte { l[20][len(l[20])-4] ^= 1; return l }, 21, "changed"},
		{"one entry removed", func(l [][]byte) [][]byte { return slices.Delete(l, 20, 21) }, 21, "the entries from 21 to 21 are missing"},
		{"two swapped", func(l [][]byte) [][]byte { l[20], l[21] = l[21], l[20]; return l }, 21, "missing"},
		{"the start removed", func(l [][]byte) [][]byte { return l[3:] }, 1, "the 3 entries before it are not there"},
		{"one twice", func(l [][]byte) [][]byte { return slices.Insert(l, 20, l[20]) }, 22, "stands behind"},
		{"a line of somebody's", func(l [][]byte) [][]byte { return slices.Insert(l, 20, []byte("{}\n")) }, 21, "no entry"},
		{"another chain behind it", func(l [][]byte) [][]byte { return append(append(l[:n-1], append(l[n-1], '\n')), l[:5]...) }, 51, "a new chain begins"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := verify(t, bytes.Join(c.change(written(t, n)), nil))
			switch {
			case c.line == 0 && len(v.Findings) > 0:
				t.Errorf("found %+v", v.Findings)
			case c.line > 0 && (len(v.Findings) == 0 || v.Findings[0].Line != c.line || !strings.Contains(v.Findings[0].What, c.what)):
				t.Errorf("found %+v, want line %d: %s", v.Findings, c.line, c.what)
			}
		})
	}
}

// TestKnownHead: who noted a head elsewhere sees that the end was removed, or the whole log written anew.
func TestKnownHead(t *testing.T) {
	lines := written(t, 30)
	known := verify(t, bytes.Join(lines[:20], nil)).Head
	other := bytes.ReplaceAll(bytes.Join(lines, nil), []byte("mask"), []byte("keep"))
	for _, c := range []struct {
		name string
		log  []byte
		want string // "": nothing is found, if rotation removed what lacks
	}{
		{"as it was", bytes.Join(lines, nil), ""},
		{"the end removed", bytes.Join(lines[:19], nil), "ends before entry 20"},
		{"written anew", other, "another one than the head"},
		{"emptied", nil, "no entry at all"},
		{"what is verified is kept elsewhere", bytes.Join(lines[20:], nil), ""},
		{"a part of it is", bytes.Join(lines[5:], nil), ""},
		{"and the rest was written anew", bytes.ReplaceAll(bytes.Join(lines[5:], nil), []byte("mask"), []byte("keep")), "another one than the head"},
		{"a part behind it is gone", bytes.Join(lines[21:], nil), "begins behind the head that was noted, 20"},
		{"the rest written anew", bytes.Replace(bytes.Join(lines[20:], nil), []byte(`"prev":"`), []byte(`"prev":"ffff`), 1), "no entry"},
		{"the rest of another log", bytes.Join(written(t, 31, "other")[20:], nil), "does not follow the head"},
	} {
		v := &Verifier{Known: known, Pruned: true}
		for i, line := range bytes.Split(c.log, []byte("\n")) {
			if len(line) > 0 {
				v.Next(Entry{"audit.jsonl", i + 1, line})
			}
		}
		v.End()
		found := ""
		for _, f := range v.Findings {
			found += f.What + "\n"
		}
		if (c.want == "") != (found == "") || !strings.Contains(found, c.want) {
			t.Errorf("%s: %q", c.name, found)
		}
	}
}

// TestMissing: how many entries the beginning lacks is told by the first entry, and not by a line that is none.
func TestMissing(t *testing.T) {
	lines := written(t, 30)
	for _, c := range []struct {
		name string
		log  [][]byte
		want uint64
	}{
		{"nothing", lines, 0},
		{"the beginning", lines[20:], 20},
		{"nothing behind a line of somebody's", append([][]byte{[]byte("{\"seq\":500}\n")}, lines...), 0},
		{"the beginning behind one", append([][]byte{[]byte("{\"seq\":500\n")}, lines[20:]...), 20},
	} {
		if v := verify(t, bytes.Join(c.log, nil)); v.Missing != c.want || (len(v.Findings) > 0) != (c.name != "nothing") {
			t.Errorf("%s: %d are missing, want %d; found %+v", c.name, v.Missing, c.want, v.Findings)
		}
	}
}

// TestRotated: a log in several files, some compressed, is one.
func TestRotated(t *testing.T) {
	lines := written(t, 30)
	if v := verify(t, bytes.Join(lines[20:], nil), bytes.Join(lines[:20], nil)); len(v.Findings) > 0 || v.Entries != 30 || v.Head.Seq != 30 {
		t.Errorf("%+v", v)
	}
	dir := t.TempDir()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(bytes.Join(lines[:20], nil))
	z.Close()
	os.WriteFile(filepath.Join(dir, "audit-1.jsonl.gz"), packed.Bytes(), 0o600)
	os.WriteFile(filepath.Join(dir, "audit.jsonl"), bytes.Join(lines[20:], nil), 0o600)
	v := &Verifier{}
	if err := Read([]string{dir}, func(e Entry) error { v.Next(e); return nil }); err != nil || len(v.Findings) > 0 || v.Entries != 30 {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestContinue: a log goes on behind a restart, also behind one that cut its last line off.
func TestContinue(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	for run := range 4 {
		f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Continue(f, file)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			fmt.Fprintf(c, "{\"run\":%d}\n", run)
		}
		if c.Head().Seq != uint64(3*run+3) {
			t.Errorf("run %d ends at %s", run, c.Head())
		}
		if head, err := ParseHead(c.Head().String()); err != nil || head != c.Head() {
			t.Errorf("%s is read as %s, %v", c.Head(), head, err)
		}
		if run == 2 {
			f.WriteString(`{"seq":10,"prev":"half`)
		}
		f.Close()
	}
	v := &Verifier{}
	if err := Read([]string{file}, func(e Entry) error { v.Next(e); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(v.Findings) != 1 || v.Findings[0].Line != 10 || v.Head.Seq != 12 {
		t.Errorf("%+v", v)
	}
}

// TestContinueRotated: behind a restart right after a rotation the log goes on, whatever else lies beside it.
func TestContinueRotated(t *testing.T) {
	dir, lines := t.TempDir(), written(t, 20)
	for name, data := range map[string][]byte{
		"audit-2026-11-21T10-00-00.000.jsonl":             bytes.Join(lines[:4], nil),
		"audit-2026-11-22T10-00-00.000-size.jsonl":        bytes.Join(lines[4:9], nil),
		"audit-2026-11-22T10-00-00.000-size.jsonl.gz":     {0x1f, 0x8b, 8}, // cut off while it was compressed
		"audit-2026-11-20T10-00-00.000.jsonl.gz":          {},
		"audit-staging.jsonl":                             bytes.Join(lines, nil), // another log
		"audit-staging-2026-11-22T10-00-00.000.jsonl":     bytes.Join(lines, nil),
		"audit-2026-11-22T10-00-00.000-empty.jsonl":       nil,
		"audit-2026-11-22T11-00-00.000-strange.jsonl.x":   []byte("{}\n"),
		"audit-2026-11-22T10-00-00.000-size_1.jsonl":      bytes.Join(lines[9:12], nil), // two in one moment
		"audit-2026-11-22T10-00-00.000-size.jsonl.gz.tmp": bytes.Join(lines, nil),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "audit-2026-11-22T12-00-00.000-size.jsonl"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Continue(io.Discard, filepath.Join(dir, "audit.jsonl"))
	if err != nil || c.Head().Seq != 12 {
		t.Errorf("%s, %v", c.Head(), err)
	}
}

// failing takes a part of what is written when it fails.
type failing struct {
	bytes.Buffer
	fails bool
}

func (f *failing) Write(p []byte) (int, error) {
	if f.fails {
		n, _ := f.Buffer.Write(p[:5])
		return n, errors.New("the disk is full")
	}
	return f.Buffer.Write(p)
}

// TestFull: what could not be written is no entry, and those behind it follow those before it.
func TestFull(t *testing.T) {
	f := &failing{}
	c := NewChain(f, Head{})
	for i := range 6 {
		f.fails = i == 2 || i == 3
		if _, err := fmt.Fprintf(c, "{\"i\":%d}\n", i); (err != nil) != f.fails {
			t.Errorf("entry %d: %v", i, err)
		}
	}
	v := verify(t, f.Bytes())
	if v.Head.Seq != 4 || len(v.Findings) != 2 || v.Findings[0].Line != 3 || v.Findings[1].Line != 4 ||
		!strings.Contains(v.Findings[1].What, "cut off while it was written") {
		t.Errorf("%+v in\n%s", v, f.String())
	}
	for _, entry := range []string{"", "\n", "{}\n", "[]\n"} {
		if _, err := c.Write([]byte(entry)); err == nil {
			t.Errorf("%q is an entry", entry)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	lines := written(b, 1000)
	b.SetBytes(int64(len(lines[500])))
	v := &Verifier{}
	for i := 0; b.Loop(); i++ {
		v.Next(Entry{"", i, bytes.TrimSuffix(lines[i%1000], []byte("\n"))})
		v.Findings = v.Findings[:0]
	}
}
