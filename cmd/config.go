package cmd

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/tidwall/gjson"
)

// readConfig reads a gateway's configuration, a Caddyfile or JSON, as JSON.
func readConfig(file string) ([]byte, error) {
	// Caddy resolves a Caddyfile's paths against the name that it is given.
	file, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return caddyJSON(file, text)
}

// caddyJSON makes Caddy's JSON of a configuration. Any other JSON has nothing to find in it, which is no good news.
func caddyJSON(file string, text []byte) (config []byte, err error) {
	if filepath.Ext(file) == ".json" {
		for _, key := range []string{"apps", "admin", "logging"} {
			if gjson.GetBytes(text, key).Exists() {
				return text, nil
			}
		}
		return nil, fmt.Errorf("reading the configuration: %s has none of apps, admin and logging at its top, so it is not Caddy's", relative(file))
	}
	if config, _, err = caddyconfig.GetAdapter("caddyfile").Adapt(text, map[string]any{"filename": file}); err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return config, nil
}
