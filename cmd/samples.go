package cmd

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddy-minimize/minimize/module/openapi"
	"github.com/caddy-minimize/minimize/rules"
)

// maxSample bounds a line of NDJSON.
const maxSample = 64 << 20

// compareSamples compares all bodies of files and folders.
func compareSamples(errs io.Writer, paths []string, to *openapi.Drifts) error {
	done := 0
	show := newProgress(errs, "bodies", 0, 0)
	defer show.done()
	add := func(in, method, path string, body []byte) {
		var value any
		if json.Unmarshal(body, &value) == nil {
			to.Add(in, method, path, value)
			done++
			show.at(done)
		}
	}
	for _, path := range paths {
		err := filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			switch strings.ToLower(filepath.Ext(file)) {
			case ".har":
				return compareHAR(file, add)
			case ".ndjson", ".jsonl":
				return compareNDJSON(file, add)
			}
			if file == path {
				return fmt.Errorf("reading samples: %s is neither .har nor .ndjson nor .jsonl", file)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func compareHAR(file string, add func(in, method, path string, body []byte)) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("reading samples: %w", err)
	}
	defer f.Close()
	err = readHAR(f, func(e *harEntry) {
		u, err := url.Parse(e.Request.URL)
		if err != nil {
			return
		}
		body, _ := e.answer()
		add("request", e.Request.Method, u.Path, []byte(e.Request.PostData.Text))
		add("response", e.Request.Method, u.Path, body)
	})
	if err != nil {
		return fmt.Errorf("reading samples: %s is no HTTP Archive", file) // the decoder's error may quote it
	}
	return nil
}

// sample is a line of NDJSON.
type sample struct {
	Operation string          // of the request: GET /api/orders/7
	Body      json.RawMessage // of the response
	Request   json.RawMessage // its body
}

func compareNDJSON(file string, add func(in, method, path string, body []byte)) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("reading samples: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxSample)
	for line := 1; lines.Scan(); line++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var s sample
		pos := rules.Pos{File: file, Line: line, Column: 1}
		if json.Unmarshal(lines.Bytes(), &s) != nil {
			return fmt.Errorf("%s: this is no JSON object with operation and body", pos)
		}
		method, path, ok := strings.Cut(s.Operation, " ")
		if !ok || !strings.HasPrefix(path, "/") {
			return fmt.Errorf("%s: want an `operation` with method and path: GET /api/orders/7", pos)
		}
		path, _, _ = strings.Cut(path, "?")
		add("request", method, path, s.Request)
		add("response", method, path, s.Body)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading samples: %s: %w", file, err)
	}
	return nil
}
