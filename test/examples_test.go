package test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.yaml.in/yaml/v4"
)

// TestExamplesLoad provisions every Caddyfile among the examples, as `minimize validate` does, and wants it formatted.
func TestExamplesLoad(t *testing.T) {
	t.Setenv("MINIMIZE_KEYS", keyDirectory(t))
	t.Setenv("CLIENTS_CA", "../caddyfile-examples/mtls/clients.pem")
	found := 0
	err := filepath.WalkDir("../caddyfile-examples", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(entry.Name(), "Caddyfile") {
			return err
		}
		found++
		t.Run(strings.TrimPrefix(path, "../caddyfile-examples/"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			validate(t, path, text)
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found == 0 {
		t.Fatal("no example was found")
	}
}

// TestExampleFilesParse reads what no Caddyfile loads: the compose file and the backend's answers.
func TestExampleFilesParse(t *testing.T) {
	err := filepath.WalkDir("../caddyfile-examples", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		switch filepath.Ext(path) {
		case ".yaml":
			if err := yaml.Unmarshal(text, new(any)); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		case ".json":
			if !json.Valid(text) {
				t.Errorf("%s is no JSON", path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// validate adapts and provisions a Caddyfile without starting it, and returns its JSON.
func validate(t *testing.T, file string, text []byte) []byte {
	t.Helper()
	if formatted := caddyfile.Format(text); !bytes.Equal(formatted, text) {
		t.Errorf("%s is not formatted: run `minimize fmt --overwrite`", file)
	}
	config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(text, map[string]any{"filename": file})
	if err != nil {
		t.Fatalf("adapting %s: %v", file, err)
	}
	for _, w := range warnings {
		t.Errorf("%s:%d: %s", w.File, w.Line, w.Message)
	}
	provision(t, file, config)
	return config
}

func provision(t *testing.T, file string, config []byte) {
	t.Helper()
	ownStorage(t)
	parsed := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON(config, parsed); err != nil {
		t.Fatalf("reading the configuration of %s: %v", file, err)
	}
	if err := caddy.Validate(parsed); err != nil {
		t.Errorf("validating %s: %v", file, err)
	}
}

// block is a fenced block of the README. The words behind its language say what it is: a file's name, or its part in
// an example.
type block struct {
	line     int
	language string
	name     string
	text     string
}

func readmeBlocks(t *testing.T) (blocks []block) {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var open *block
	for i, line := range strings.Split(string(readme), "\n") {
		switch {
		case open == nil && strings.HasPrefix(line, "```"):
			language, name, _ := strings.Cut(strings.TrimPrefix(line, "```"), " ")
			open = &block{line: i + 1, language: language, name: name}
		case open != nil && line == "```":
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		t.Fatalf("README.md:%d: the block is not closed", open.line)
	}
	return blocks
}

// TestREADMELoads loads every example of the README: rule documents are written where its Caddyfiles look for them, and
// those are provisioned as a whole.
func TestREADMELoads(t *testing.T) {
	dir, blocks := readmeDir(t), readmeBlocks(t)
	for _, b := range blocks {
		switch b.language {
		case "caddyfile":
			validate(t, filepath.Join(dir, "Caddyfile"), []byte(b.text))
		case "yaml":
			if err := yaml.Unmarshal([]byte(b.text), new(any)); err != nil {
				t.Errorf("README.md:%d: %v", b.line, err)
			}
			if b.name == "" {
				t.Errorf("README.md:%d: the block has no file name, so nothing loads it", b.line)
			}
		case "json":
			if !json.Valid([]byte(b.text)) {
				t.Errorf("README.md:%d: this is no JSON", b.line)
			}
		case "sh", "text", "": // nothing that loads
		default:
			t.Errorf("README.md:%d: %q blocks are not tested", b.line, b.language)
		}
	}
}

// readmeDir holds the files that the README's Caddyfiles name.
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
	t.Fatalf("the README has no block %q %q", language, name)
	return block{}
}

// TestExamplesMinimize runs examples in front of their backend and looks for one buyer's card, phone and name.
func TestExamplesMinimize(t *testing.T) {
	backend := httptest.NewServer(http.FileServer(http.Dir("../caddyfile-examples/backend")))
	defer backend.Close()
	id := newIssuer(t)
	t.Setenv("MINIMIZE_KEYS", keyDirectory(t))
	const card, phone, maskedPhone, name = "6222021000000000017", "13817640235", "138****0235", "李娜"
	const page = "/index.html"
	for _, tc := range []struct {
		example string
		path    string
		header  http.Header
		has     []string
		hasNot  []string
	}{
		{"quickstart", orders, nil, []string{maskedPhone, "D2026110300017"}, []string{card, phone, name}},
		{"quickstart", "/api/export/", nil, []string{`"reason":"media_type"`}, []string{"orders.json"}}, // a list of files, in HTML
		{"report-mode", orders, nil, []string{card, phone, name}, nil},
		{"observability", orders, nil, []string{maskedPhone}, []string{card, phone, name}},
		{"opaque", orders, nil, []string{maskedPhone}, []string{card, phone, name}},
		{"opaque", page, nil, []string{"<title>"}, nil},
		{"opaque", "/api/export/orders.json", nil, []string{"nobody-exports-people"}, []string{"138", "D2026110300017"}},
		{"basic-auth", orders, basicAuth("support", "after_sales"), []string{maskedPhone, "D2026110300017"}, []string{card, phone, name}},
		{"basic-auth", orders, basicAuth("courier", "delivery"), []string{phone, name}, []string{card}},
		{"basic-auth", orders, basicAuth("courier", "advertising"), []string{"status"}, []string{card, phone, maskedPhone, name}},
		{"jwt", orders, nil, []string{"status"}, []string{card, phone, maskedPhone, name}},
		{"jwt", orders, id.bearer(t, "s-1", "support", "after_sales", "DE"), []string{maskedPhone}, []string{card, phone, name}},
		{"jwt", orders, id.bearer(t, "s-1", "support", "after_sales", "US"), []string{`"reason":"country"`}, []string{"138", "D2026110300017"}},
		{"jwt", orders, id.bearer(t, "c-1001", "customer", "own_orders", "US"), []string{card, phone, name}, []string{"greta.lindqvist"}},
		{"jwt", orders, id.bearer(t, "k-1", "courier", "delivery", "DE"), []string{phone, name}, []string{card, "Greta"}}, // hers was delivered
	} {
		t.Run(tc.example+tc.path, func(t *testing.T) {
			gateway, _ := startExample(t, tc.example, backend.Listener.Addr().String(), id)
			got := getWith(t, gateway+tc.path, tc.header).everything()
			for _, s := range tc.has {
				if !strings.Contains(got, s) {
					t.Errorf("the answer lacks %q", s)
				}
			}
			for _, s := range tc.hasNot {
				if strings.Contains(got, s) {
					t.Errorf("the answer holds %q", s)
				}
			}
		})
	}
}

// TestObservabilityExample looks for a phone number of the request, and for one of the answer, in all that the example writes.
func TestObservabilityExample(t *testing.T) {
	backend := httptest.NewServer(http.FileServer(http.Dir("../caddyfile-examples/backend")))
	defer backend.Close()
	t.Setenv("MINIMIZE_KEYS", keyDirectory(t))
	gateway, dir := startExample(t, "observability", backend.Listener.Addr().String(), newIssuer(t))
	get(t, gateway+orders+"?phone=15980712264", "")
	for file, want := range map[string]string{"access.log": "/api/orders.json", "audit.jsonl": `"contact.phone mask":`} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("%s lacks %q", file, want)
		}
		if found := leaks(string(text), []planted{{"phone", "15980712264"}, {"phone", "13817640235"}}); len(found) > 0 {
			t.Errorf("%s holds %d phone numbers", file, len(found))
		}
	}
}

const orders = "/api/orders.json"

// startExample runs an example in front of a backend, and returns its URL and the directory that it writes to.
func startExample(t *testing.T, example, backend string, id *issuer) (gateway, dir string) {
	t.Helper()
	dir = t.TempDir() // a copy, so that audit and access logs end with the test
	if err := os.CopyFS(dir, os.DirFS("../caddyfile-examples/"+example)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "Caddyfile")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	startCaddy(t, file, strings.NewReplacer(
		"localhost:8080", address,
		"localhost:9180", freeAddress(t),
		"localhost:9000", backend,
		"audience shop", "audience shop key "+id.public,
		"file access.log", "file "+filepath.Join(dir, "access.log"),
	).Replace(withoutAdmin(string(text))))
	return "http://" + address, dir
}

// withoutAdmin keeps an example's Caddy from listening and writing where another one may.
func withoutAdmin(caddyfile string) string {
	if strings.Contains(caddyfile, "admin off") {
		return strings.Replace(caddyfile, "admin off", "admin off\n\tpersist_config off", 1)
	}
	return strings.Replace(caddyfile, "{\n", "{\n\tadmin off\n\tpersist_config off\n", 1)
}

func basicAuth(user, purpose string) http.Header {
	request := &http.Request{Header: http.Header{"Purpose": {purpose}}}
	request.SetBasicAuth(user, "example")
	return request.Header
}

// keyDirectory holds one key for pseudonyms.
func keyDirectory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "2026-11"), []byte("thirty-two bytes for this test.."), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
