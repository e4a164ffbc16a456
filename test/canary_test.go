package test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-minimize/minimize/test/postgres"
)

// TestCanaryOfExamples: every enforced route of every example is protected.
func TestCanaryOfExamples(t *testing.T) {
	t.Setenv("MINIMIZE_KEYS", keyDirectory(t))
	ca, err := filepath.Abs("../caddyfile-examples/mtls/clients.pem")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("CLIENTS_CA", ca)
	err = filepath.WalkDir("../caddyfile-examples", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != "Caddyfile" {
			return err
		}
		example := filepath.Dir(path)
		t.Run(strings.TrimPrefix(example, "../caddyfile-examples/"), func(t *testing.T) {
			if strings.HasSuffix(example, "postgres") {
				t.Setenv("MINIMIZE_CONSENT_DSN", postgres.Start(t).NewDatabase(t))
			}
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(example)); err != nil {
				t.Fatal(err)
			}
			t.Chdir(dir) // logs are relative to where Caddy runs
			enforced := startAnywhere(t, filepath.Join(dir, "Caddyfile"))
			shown := protected(t)
			for deadline := time.Now().Add(2 * time.Minute); len(shown) < enforced && time.Now().Before(deadline); shown = protected(t) {
				time.Sleep(10 * time.Millisecond)
			}
			if len(shown) != enforced {
				t.Errorf("%d of %d enforced routes are shown", len(shown), enforced)
			}
			for route, value := range shown {
				if value != 1 {
					t.Errorf("%s is not protected", route)
				}
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// startAnywhere runs a Caddyfile on free addresses, without TLS, and returns how many of its routes are enforced.
func startAnywhere(t *testing.T, file string) (enforced int) {
	t.Helper()
	ownStorage(t)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(withoutAdmin(string(text))), map[string]any{"filename": file})
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := json.Unmarshal(config, &root); err != nil {
		t.Fatal(err)
	}
	apps := root["apps"].(map[string]any)
	for _, server := range apps["http"].(map[string]any)["servers"].(map[string]any) {
		s := server.(map[string]any)
		s["listen"], s["automatic_https"] = []string{freeAddress(t)}, map[string]any{"disable": true}
		delete(s, "tls_connection_policies")
		enforced += enforcedIn(s)
	}
	delete(apps, "tls")
	if config, err = json.Marshal(root); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(config, true); err != nil {
		t.Fatalf("starting %s: %v", file, err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping Caddy: %v", err)
		}
	})
	return enforced
}

// enforcedIn counts the handlers in a configuration that judge answers.
func enforcedIn(config any) (n int) {
	switch c := config.(type) {
	case map[string]any:
		if c["handler"] == "minimize" && c["mode"] != "report" {
			n++
		}
		for _, inner := range c {
			n += enforcedIn(inner)
		}
	case []any:
		for _, inner := range c {
			n += enforcedIn(inner)
		}
	}
	return n
}

// protected is what the gauge of the canary shows, by route.
func protected(t *testing.T) map[string]float64 {
	t.Helper()
	ctx := caddy.ActiveContext()
	families, err := ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "caddy_minimize_protected" {
			continue
		}
		for _, m := range f.GetMetric() {
			shown[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
		}
	}
	return shown
}
