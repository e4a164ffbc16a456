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
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.yaml.in/yaml/v4"
)

// TestExamplesLoad provisions every Caddyfile among the examples, as `minimize validate` does, and wants it formatted.
func TestExamplesLoad(t *testing.T) {
	t.Setenv("MINIMIZE_KEYS", keyDirectory(t))
	ca, err := filepath.Abs("../caddyfile-examples/mtls/clients.pem")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("CLIENTS_CA", ca)
	t.Setenv("MINIMIZE_CONSENT_DSN", "postgres://minimize@db.internal/minimize") // nobody asks it: validating opens nothing
	found := 0
	err = filepath.WalkDir("../caddyfile-examples", func(path string, entry fs.DirEntry, err error) error {
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
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	// Provisioning opens the logs, and their names are relative to where Caddy runs.
	if err := os.Chdir(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(parsed); err != nil {
		t.Errorf("validating %s: %v", file, err)
	}
	if err := os.Chdir(wd); err != nil {
		t.Fatal(err)
	}
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
		{"openapi", orders, nil, []string{"*******0235", "D2026110300017", "Trail backpack"}, []string{card, phone, maskedPhone, name, "c-1001"}},
		{"observability", orders, nil, []string{maskedPhone}, []string{card, phone, name}},
		{"console", orders, nil, []string{maskedPhone}, []string{card, phone, name}},
		{"console", "/console/", basicAuth("security", ""), []string{"<h1>Now</h1>", "/api/*", "enforced"}, nil},
		{"console", "/console/matrix", basicAuth("privacy", ""), []string{"<h1>Matrix</h1>", "contact for support: mask"}, nil},
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
		text := readUntil(t, filepath.Join(dir, file), want)
		if found := leaks(text, []planted{{"phone", "15980712264"}, {"phone", "13817640235"}}); len(found) > 0 {
			t.Errorf("%s holds %d phone numbers", file, len(found))
		}
	}
}

// readUntil reads a log that is written after the answer was sent, until the text stands in it.
func readUntil(t *testing.T, file, want string) string {
	t.Helper()
	for range 100 {
		if text, err := os.ReadFile(file); err == nil && bytes.Contains(text, []byte(want)) {
			return string(text)
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s lacks %q", filepath.Base(file), want)
	return ""
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

// withoutAdmin keeps an example's Caddy from listening and writing where another one may. The delay lets it write the
// last audit line before the test removes the directory.
func withoutAdmin(caddyfile string) string {
	const options = "{\n\tpersist_config off\n\tshutdown_delay 100ms\n"
	if !strings.Contains(caddyfile, "admin off") {
		return strings.Replace(caddyfile, "{\n", options+"\tadmin off\n", 1)
	}
	return strings.Replace(caddyfile, "{\n", options, 1)
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
