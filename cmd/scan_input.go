package cmd

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddy-minimize/minimize/rules/guess"
)

// stdinName is how standard input is named among files.
const stdinName = "-"

// sampleTypes are the files that are taken out of a folder.
var sampleTypes = []string{".json", ".ndjson", ".jsonl", ".har"}

// sampleFiles returns the files that paths name, and how many bytes they have together.
func sampleFiles(paths []string) (files []string, bytes int64, err error) {
	for _, path := range paths {
		if path == stdinName {
			files = append(files, path)
			continue
		}
		before := len(files)
		err := filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || file != path && !slices.Contains(sampleTypes, strings.ToLower(filepath.Ext(file))) {
				return err
			}
			info, err := os.Stat(file)
			if err == nil {
				files, bytes = append(files, file), bytes+info.Size()
			}
			return err
		})
		switch {
		case err != nil:
			return nil, 0, fmt.Errorf("finding samples: %w", err)
		case len(files) == before:
			return nil, 0, fmt.Errorf("finding samples: no %s in %s", strings.Join(sampleTypes, ", "), path)
		}
	}
	return files, bytes, nil
}

// samples reads files of samples.
type samples struct {
	guesser    *guess.Guesser
	stdin      io.Reader
	progress   *progress
	done       int
	operations []string
}

// read takes one file.
func (s *samples) read(file string) error {
	source := s.stdin
	if file != stdinName {
		f, err := os.Open(file)
		if err != nil {
			return fmt.Errorf("reading samples: %w", err)
		}
		defer f.Close()
		source = f
	}
	r := &counted{source: source, samples: s}
	var err error
	if strings.EqualFold(filepath.Ext(file), ".har") {
		err = readHAR(r, s.entry)
	} else {
		err = s.guesser.Read(r)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// counted shows how far reading has come.
type counted struct {
	source  io.Reader
	samples *samples
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.source.Read(p)
	c.samples.done += n
	c.samples.progress.at(c.samples.done)
	return n, err
}

// harEntry is a request and its answer (HTTP Archive 1.2), as far as bodies, queries and operations go.
type harEntry struct {
	Request struct {
		Method      string     `json:"method"`
		URL         string     `json:"url"`
		QueryString []harParam `json:"queryString"`
		PostData    struct {
			Text   string     `json:"text"`
			Params []harParam `json:"params"`
		} `json:"postData"`
	} `json:"request"`
	Response struct {
		Content struct {
			Text     string `json:"text"`
			Encoding string `json:"encoding"`
		} `json:"content"`
	} `json:"response"`
}

type harParam struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

var errNoArchive = errors.New("it is no HTTP archive: there is no list log.entries")

// readHAR reads an archive entry by entry.
func readHAR(r io.Reader, each func(*harEntry)) error {
	d := json.NewDecoder(r)
	for _, name := range []string{"log", "entries"} {
		if err := enter(d, name); err != nil {
			return err
		}
	}
	if token, err := d.Token(); err != nil || token != json.Delim('[') {
		return errNoArchive
	}
	for d.More() {
		var e harEntry
		if err := d.Decode(&e); err != nil {
			return fmt.Errorf("reading the archive at byte %d: it is not JSON, or an entry has another form", d.InputOffset())
		}
		each(&e)
	}
	return nil
}

// answer is the body of the response.
func (e *harEntry) answer() ([]byte, error) {
	text := e.Response.Content.Text
	if e.Response.Content.Encoding == "base64" {
		return base64.StdEncoding.DecodeString(text)
	}
	return []byte(text), nil
}

// enter goes to the value of a member of the object that comes next.
func enter(d *json.Decoder, name string) error {
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return errNoArchive
	}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return errNoArchive
		}
		if token == name {
			return nil
		}
		if err := d.Decode(new(json.RawMessage)); err != nil {
			return errNoArchive
		}
	}
	return errNoArchive
}

// entry takes the bodies that are JSON, and where one was, the operation and its parameters. Pages and pictures are none of ours.
func (s *samples) entry(e *harEntry) {
	answer, err := e.answer()
	if err != nil {
		return
	}
	isJSON := false
	for _, body := range []string{string(answer), e.Request.PostData.Text} {
		if trimmed := strings.TrimSpace(body); len(trimmed) > 1 && (trimmed[0] == '{' || trimmed[0] == '[') && json.Valid([]byte(trimmed)) {
			isJSON = s.guesser.Read(strings.NewReader(trimmed)) == nil || isJSON
		}
	}
	if !isJSON && len(e.Request.PostData.Params) == 0 {
		return
	}
	for _, p := range slices.Concat(e.Request.QueryString, e.Request.PostData.Params) {
		s.guesser.Param(p.Name, p.Value)
	}
	if u, err := url.Parse(e.Request.URL); err == nil && strings.HasPrefix(u.Path, "/") {
		if o := guess.Operation(e.Request.Method, u.Path); !slices.Contains(s.operations, o) {
			s.operations = append(s.operations, o)
		}
	}
}
