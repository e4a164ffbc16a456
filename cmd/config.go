package cmd

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// readConfig reads a gateway's configuration, a Caddyfile or JSON, as JSON.
func readConfig(file string) ([]byte, error) {
	// Caddy resolves a Caddyfile's paths against the name that it is given.
	file, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	config, err := os.ReadFile(file)
	if err == nil && filepath.Ext(file) != ".json" {
		config, _, err = caddyconfig.GetAdapter("caddyfile").Adapt(config, map[string]any{"filename": file})
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return config, nil
}
