package auditlog

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/caddy-minimize/minimize/rules"
)

// TestNewest: page by page, backwards, come the same entries as forwards: also where lines are longer than what is read at
// once, files are rotated and compressed, and the last line is still being written.
func TestNewest(t *testing.T) {
	lines := written(t, 3000, " ", string(bytes.Repeat([]byte("x"), 300)))
	dir := t.TempDir()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(bytes.Join(lines[:700], nil))
	z.Close()
	for name, data := range map[string][]byte{
		"audit-2026-11-21T10-00-00.000.jsonl.gz": packed.Bytes(),
		"audit-2026-11-22T10-00-00.000.jsonl":    bytes.Join(lines[700:1400], nil),
		"audit.jsonl":                            append(bytes.Join(lines[1400:], nil), "\n"+`{"seq":3001,"prev":"00`...),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files := Files(filepath.Join(dir, "audit.jsonl"))
	for name, f := range map[string]Filter{
		"all":  {},
		"none": {Members: map[string][]string{"role": {"nobody"}}},
		"some": {Members: map[string][]string{"seq": {"3", "699", "700", "701", "1400", "1401", "3000"}}},
		"kind": {Categories: []rules.Category{"contact"}},
	} {
		var want []string
		if _, err := f.Each(files, func(e gjson.Result) error {
			if seq := e.Get("seq").String(); seq != "3001" {
				want = append([]string{seq}, want...)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		var got []string
		before := uint64(0)
		for range 1000 {
			page, err := f.Newest(files, before, 7, time.Now().Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Entries {
				got = append(got, e.Get("seq").String())
			}
			if !page.More {
				break
			}
			before = page.Reached
		}
		if len(got) != len(want) {
			t.Fatalf("%s: %d entries, want %d", name, len(got), len(want))
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%s: entry %d is %s, want %s", name, i, got[i], want[i])
			}
		}
	}
}

// TestNewestLate: a search that takes too long says how far it came, and goes on from there.
func TestNewestLate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.WriteFile(file, bytes.Join(written(t, 5000), nil), 0o600); err != nil {
		t.Fatal(err)
	}
	f := Filter{Members: map[string][]string{"seq": {"1"}}}
	before, found := uint64(0), ""
	for range 10 {
		page, err := f.Newest([]string{file}, before, 7, time.Now().Add(time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Entries) > 0 {
			found = strconv.FormatUint(page.Entries[0].Get("seq").Uint(), 10)
		}
		if page.More && !page.Late {
			t.Error("there is more, and the time was not over")
		}
		if !page.More {
			break
		}
		before = page.Reached
	}
	if found != "1" {
		t.Errorf("the first entry is not found, but %q", found)
	}
}

// TestNewestWhileCompressing: a rotated file and the half or the whole of what it is being compressed into are one. A file
// that cannot be read is passed over, and said to be.
func TestNewestWhileCompressing(t *testing.T) {
	lines := written(t, 300)
	dir := t.TempDir()
	file := filepath.Join(dir, "audit.jsonl")
	oldest, older := filepath.Join(dir, "audit-2026-11-21T10-00-00.000.jsonl"), filepath.Join(dir, "audit-2026-11-22T10-00-00.000.jsonl")
	packed := zipped(bytes.Join(lines[100:200], nil))
	for _, c := range []struct {
		name    string
		files   map[string][]byte
		entries int
		unread  int
	}{
		{"it begins", map[string][]byte{older: bytes.Join(lines[100:200], nil), older + ".gz": nil}, 300, 0},
		{"half of it", map[string][]byte{older: bytes.Join(lines[100:200], nil), older + ".gz": packed[:len(packed)/2]}, 300, 0},
		{"all of it", map[string][]byte{older: bytes.Join(lines[100:200], nil), older + ".gz": packed}, 300, 0},
		{"done", map[string][]byte{older + ".gz": packed}, 300, 0},
		{"half of it is all there is", map[string][]byte{older + ".gz": packed[:len(packed)/2]}, 200, 1},
		{"none of it", map[string][]byte{older + ".gz": nil}, 200, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.files[oldest], c.files[file] = bytes.Join(lines[:100], nil), bytes.Join(lines[200:], nil)
			for name, data := range c.files {
				if err := os.WriteFile(name, data, 0o600); err != nil {
					t.Fatal(err)
				}
				defer os.Remove(name)
			}
			f := Filter{}
			page, err := f.Newest(Files(file), 0, 1000, time.Now().Add(time.Hour))
			if err != nil || len(page.Entries) != c.entries || len(page.Unread) != c.unread {
				t.Fatalf("got %+v, %v", page, err)
			}
			n, err := f.Each(Files(file), func(gjson.Result) error { return nil })
			if (err != nil) != (c.unread > 0) || err == nil && n != c.entries {
				t.Errorf("all of them are %d, %v", n, err)
			}
		})
	}
}

// TestCompressedMeanwhile: a file that is compressed after it was found is read all the same.
func TestCompressedMeanwhile(t *testing.T) {
	lines := written(t, 200)
	dir := t.TempDir()
	older, file := filepath.Join(dir, "audit-2026-11-22T10-00-00.000.jsonl"), filepath.Join(dir, "audit.jsonl")
	for name, data := range map[string][]byte{older + ".gz": zipped(bytes.Join(lines[:100], nil)), file: bytes.Join(lines[100:], nil)} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := Filter{}
	if page, err := f.Newest([]string{older, file}, 0, 1000, time.Now().Add(time.Hour)); err != nil || len(page.Entries) != 200 || len(page.Unread) > 0 {
		t.Errorf("got %+v, %v", page, err)
	}
	if n, err := f.Each([]string{older, file}, func(gjson.Result) error { return nil }); err != nil || n != 200 {
		t.Errorf("got %d, %v", n, err)
	}
	if _, err := f.Each([]string{file + "x"}, nil); err == nil || !strings.Contains(err.Error(), "audit.jsonlx: no such file") {
		t.Errorf("a file that there is not: %v", err)
	}
}
