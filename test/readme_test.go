package test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

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
	if out, err := command.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("All 2 fixtures passed.")) {
		t.Errorf("%v\n%s", err, out)
	}
}
