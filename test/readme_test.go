package test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// manual is what users read: the README and the pages that it names.
var manual = []string{"README.md", "module/README.md", "module/openapi/README.md", "module/dashboards/README.md"}

// block is a fenced block of the manual. The words behind its language say what it is: a file's name, or its part in
// an example.
type block struct {
	page     string
	line     int
	language string
	name     string
	text     string
}

func readmeBlocks(t *testing.T) (blocks []block) {
	t.Helper()
	for _, page := range manual {
		var open *block
		for i, line := range strings.Split(readPage(t, page), "\n") {
			switch {
			case open == nil && strings.HasPrefix(line, "```"):
				language, name, _ := strings.Cut(strings.TrimPrefix(line, "```"), " ")
				open = &block{page: page, line: i + 1, language: language, name: name}
			case open != nil && line == "```":
				blocks = append(blocks, *open)
				open = nil
			case open != nil:
				open.text += line + "\n"
			}
		}
		if open != nil {
			t.Fatalf("%s:%d: the block is not closed", page, open.line)
		}
	}
	return blocks
}

func readPage(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	linkInPage = regexp.MustCompile(`\]\(([^)]*)\)`)
	heading    = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notInSlug  = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// TestREADMELinks follows the links of the manual that stay in the repository, to their headings.
func TestREADMELinks(t *testing.T) {
	slugs := map[string]bool{}
	for _, page := range manual {
		for _, h := range heading.FindAllStringSubmatch(readPage(t, page), -1) {
			slugs[page+"#"+strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-")] = true
		}
	}
	for _, page := range manual {
		for _, link := range linkInPage.FindAllStringSubmatch(readPage(t, page), -1) {
			file, at, anchored := strings.Cut(link[1], "#")
			if strings.HasPrefix(file, "https:") {
				continue
			}
			to := page
			if file != "" {
				to = path.Join(path.Dir(page), file)
			}
			if _, err := os.Stat(filepath.Join("..", filepath.FromSlash(to))); err != nil {
				t.Errorf("%s: %s leads nowhere", page, link[1])
			}
			if anchored && !slugs[to+"#"+at] {
				t.Errorf("%s: %s leads to no heading", page, link[1])
			}
		}
	}
}

// TestREADMELoads loads every example of the manual: rule documents are written where its Caddyfiles look for them, and
// those are provisioned as a whole.
func TestREADMELoads(t *testing.T) {
	dir, blocks := readmeDir(t), readmeBlocks(t)
	for _, b := range blocks {
		switch b.language {
		case "caddyfile":
			validate(t, filepath.Join(dir, "Caddyfile"), []byte(b.text))
		case "yaml":
			if err := yaml.Unmarshal([]byte(b.text), new(any)); err != nil {
				t.Errorf("%s:%d: %v", b.page, b.line, err)
			}
			if b.name == "" {
				t.Errorf("%s:%d: the block has no file name, so nothing loads it", b.page, b.line)
			}
		case "json":
			if !json.Valid([]byte(b.text)) {
				t.Errorf("%s:%d: this is no JSON", b.page, b.line)
			}
		case "sh", "text", "": // nothing that loads
		default:
			t.Errorf("%s:%d: %q blocks are not tested", b.page, b.line, b.language)
		}
	}
}

// readmeDir holds the files that the manual's Caddyfiles name.
func readmeDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, b := range readmeBlocks(t) {
		if b.language != "yaml" {
			continue
		}
		file := filepath.Join(dir, filepath.FromSlash(b.name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func readmeBlock(t *testing.T, language, name string) block {
	t.Helper()
	for _, b := range readmeBlocks(t) {
		if b.language == language && b.name == name {
			return b
		}
	}
	t.Fatalf("the manual has no block %q %q", language, name)
	return block{}
}

// TestREADMEBeforeAndAfter asks the README's own gateway for the README's own order.
func TestREADMEBeforeAndAfter(t *testing.T) {
	before, after := readmeBlock(t, "json", "before").text, readmeBlock(t, "json", "after").text
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(before))
	}))
	defer backend.Close()
	gateway, id := freeAddress(t), newIssuer(t)
	token := id.token(t, map[string]any{"sub": "s-1", "role": "support", "purpose": "after_sales"})
	for mode, want := range map[string]string{"report": before, "enforce": after} {
		t.Run(mode, func(t *testing.T) {
			caddyfile := strings.NewReplacer(
				"mode report", "mode "+mode,
				"audience shop", "audience shop key "+id.public,
				"localhost:8080", gateway,
				"localhost:9000", backend.Listener.Addr().String(),
			).Replace(withoutAdmin(readmeBlock(t, "caddyfile", "quickstart").text))
			startCaddy(t, filepath.Join(readmeDir(t), "Caddyfile"), caddyfile)
			if got := get(t, "http://"+gateway+"/api/orders", token); got.status != http.StatusOK || got.body != want {
				t.Errorf("status %d, body\n%s\nwant\n%s", got.status, got.body, want)
			}
		})
	}
}

// TestREADMEInJSON holds the README's JSON configuration against what its Caddyfile adapts to.
func TestREADMEInJSON(t *testing.T) {
	dir := readmeDir(t)
	config := validate(t, filepath.Join(dir, "Caddyfile"), []byte(readmeBlock(t, "caddyfile", "quickstart").text))
	config = bytes.ReplaceAll(config, []byte(dir), []byte("/etc/minimize"))
	var indented bytes.Buffer
	if err := json.Indent(&indented, config, "", "  "); err != nil {
		t.Fatal(err)
	}
	var want, got any
	if err := json.Unmarshal(config, &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(readmeBlock(t, "json", "config").text), &got); err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(got) // both were JSON a moment ago
	b, _ := json.Marshal(want)
	if !bytes.Equal(a, b) {
		t.Errorf("the README's JSON is not its Caddyfile, which adapts to\n%s", indented.String())
	}
}

// TestREADMEFixtures runs the README's fixtures by its own command.
func TestREADMEFixtures(t *testing.T) {
	command := exec.Command("go", "run", "../cmd/minimize", "test", filepath.Join(readmeDir(t), "fixtures"))
	if out, err := command.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("All 5 fixtures passed.")) {
		t.Errorf("%v\n%s", err, out)
	}
}
