package auditlog

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/tidwall/gjson"

	"github.com/caddy-minimize/minimize/rules"
)

// rotatedLog is a log of 300 entries in three files: one each of gzip and zstd, and what is still written to.
func rotatedLog(t *testing.T) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "audit.jsonl")
	var log bytes.Buffer
	c := NewChain(&log, Head{})
	for i := range 300 {
		if i%100 == 0 {
			log.Reset()
		}
		fmt.Fprintf(c, `{"time":"2026-11-%02dT10:00:00.000Z","decision":"d%d","role":"r%d","caller":"c%d","case":"k%d","values":{"contact.phone mask":%d},`+
			`"subjects":%d,"people":[{"token":"s%d"},{"token":"s%d"}]}`+"\n", 1+i/30, i, i%3, i%5, i%7, i, 2+i%2*20, i%11, i%13)
		name, data := file, log.Bytes()
		switch i {
		case 99:
			name, data = strings.Replace(file, ".jsonl", "-2026-11-04T00-00-00.000.jsonl.gz", 1), zipped(data)
		case 199:
			z, _ := zstd.NewWriter(nil)
			name, data = strings.Replace(file, ".jsonl", "-2026-11-07T00-00-00.000.jsonl.zst", 1), z.EncodeAll(data, nil)
		case 299:
		default:
			continue
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

func zipped(data []byte) []byte {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(data)
	z.Close()
	return packed.Bytes()
}

// TestFilterTorn: a log whose first line was cut off is one, and what is no log is not.
func TestFilterTorn(t *testing.T) {
	var log bytes.Buffer
	c := NewChain(&log, Head{})
	c.Write([]byte(`{"decision":"d1"}` + "\n"))
	whole := log.String()
	for text, want := range map[string]int{whole: 1, `{"seq":1,"prev":"0` + "\n" + whole: 2, `{"s` + "\n" + whole: 2, `{"level":"info"}` + "\n": -1, "\x00\x01\n": -1} {
		file := filepath.Join(t.TempDir(), "audit.jsonl")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f := new(Filter)
		if n, err := f.Each([]string{file}, func(gjson.Result) error { return nil }); n != want && want >= 0 || (err != nil) != (want < 0) {
			t.Errorf("%q: %d entries, %v", text, n, err)
		}
	}
}

// TestTokensOfAllKeys: a key that cannot be read is an error, not somebody of whom there is no entry.
func TestTokensOfAllKeys(t *testing.T) {
	key := bytes.Repeat([]byte("k"), 32)
	for name, test := range map[string]struct {
		more func(dir string) error
		want int
	}{
		"one more":                {func(dir string) error { return os.WriteFile(filepath.Join(dir, "2027"), key, 0o600) }, 2},
		"a recipient's own":       {func(dir string) error { return os.WriteFile(filepath.Join(dir, "psp_2027"), key, 0o600) }, 1},
		"Kubernetes' own":         {func(dir string) error { return os.Mkdir(filepath.Join(dir, "..data"), 0o700) }, 1},
		"one that is not there":   {func(dir string) error { return os.Symlink("nowhere", filepath.Join(dir, "2027")) }, -1},
		"one that is still empty": {func(dir string) error { return os.WriteFile(filepath.Join(dir, "2027"), nil, 0o600) }, -1},
	} {
		dir := t.TempDir()
		if err := errors.Join(os.WriteFile(filepath.Join(dir, "2026"), key, 0o600), test.more(dir)); err != nil {
			t.Fatal(err)
		}
		if tokens, err := Tokens(dir, Subject, []string{"c-1"}); len(tokens) != max(test.want, 0) || (err != nil) != (test.want < 0) {
			t.Errorf("%s: %d tokens, %v", name, len(tokens), err)
		}
	}
}

// TestFilter: what is found is what a loop over all entries finds, in whatever files they are.
func TestFilter(t *testing.T) {
	files := Files(rotatedLog(t))
	for _, c := range []struct {
		name   string
		filter Filter
		is     func(i int) bool
	}{
		{"all", Filter{}, func(int) bool { return true }},
		{"roles", Filter{Members: map[string][]string{"role": {"r1", "r2"}, "recipient": nil}}, func(i int) bool { return i%3 > 0 }},
		{"a caller in a case", Filter{Callers: []string{"c2"}, Cases: []string{"k0", "k1"}}, func(i int) bool { return i%5 == 2 && i%7 < 2 }},
		{"a parent", Filter{Categories: []rules.Category{"contact"}}, func(int) bool { return true }},
		{"another category", Filter{Categories: []rules.Category{"contact.email", "cont"}}, func(int) bool { return false }},
		{"a data subject", Filter{Subjects: []string{"s12"}}, func(i int) bool { return i%13 == 12 }},
		{"some days", Filter{From: time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 11, 5, 10, 0, 0, 0, time.UTC)}, func(i int) bool { return i >= 60 && i < 120 }},
	} {
		var got []int64
		read := 0
		c.filter.Read = func(n int) error { read = n; return nil }
		n, err := c.filter.Each(files, func(e gjson.Result) error { got = append(got, e.Get("seq").Int()-1); return nil })
		var want []int64
		unnamed := 0
		for i := range 300 {
			if c.is(i) {
				want = append(want, int64(i))
			} else if len(c.filter.Subjects) > 0 && i%2 == 1 {
				unnamed++
			}
		}
		if err != nil || n != len(want) || fmt.Sprint(got) != fmt.Sprint(want) || c.filter.Unnamed != unnamed || read != 300 {
			t.Errorf("%s: %d of %d read, %d unnamed, %v\n%v\nwant\n%v", c.name, n, read, c.filter.Unnamed, err, got, want)
		}
	}
	enough := errors.New("enough")
	if n, err := (&Filter{Read: func(int) error { return enough }}).Each(files, nil); err != enough || n != 0 {
		t.Errorf("a search that is ended goes on: %v", err)
	}
}
