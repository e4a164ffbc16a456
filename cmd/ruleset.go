package cmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"

	"github.com/caddy-minimize/minimize/module/rulefile"
	"github.com/caddy-minimize/minimize/rules"
)

func addRulesFlag(c *cobra.Command) *[]string {
	return c.Flags().StringArray("rules", nil, "A rule document, a pattern of some, or pack:NAME; may be repeated. Those of ./Caddyfile")
}

// loadRules compiles the rule documents that the patterns name, or else those that the Caddyfile here enforces.
func loadRules(patterns []string) (*rules.Ruleset, error) {
	enforced := len(patterns) == 0
	if enforced {
		var err error
		if patterns, err = configuredRules(); err != nil {
			return nil, err
		}
	}
	files, err := ruleFiles(patterns)
	if err != nil {
		return nil, err
	}
	var docs []*rules.Document
	var errs rules.Errors
	for _, file := range files {
		data, err := rulefile.Read(file)
		if err != nil {
			return nil, fmt.Errorf("reading the rules: %w", err)
		}
		doc, err := rulefile.Parse(file, data)
		var found rules.Errors
		switch {
		case errors.As(err, &found):
			errs = append(errs, found...)
		case err != nil:
			return nil, err
		case !doc.Candidate || !enforced:
			docs = append(docs, doc)
		}
	}
	if err := errs.Err(); err != nil {
		return nil, err
	}
	keys, err := rules.NewKeyRing(testKeys)
	if err != nil {
		return nil, fmt.Errorf("making the keys: %w", err)
	}
	return rules.Compile(docs, rules.Options{Keys: keys})
}

// configuredRules are the patterns of the Caddyfile here.
func configuredRules() ([]string, error) {
	if _, err := os.Stat("Caddyfile"); err != nil {
		return nil, errors.New("naming the rules: there is no ./Caddyfile here; use --rules FILE")
	}
	config, err := readConfig("Caddyfile")
	if err != nil {
		return nil, err
	}
	var patterns []string
	for _, pattern := range gjson.GetBytes(config, "apps.minimize.rules").Array() {
		patterns = append(patterns, pattern.Str)
	}
	if len(patterns) == 0 {
		return nil, errors.New("naming the rules: ./Caddyfile's global option `minimize` has no `rules`; use --rules FILE")
	}
	return patterns, nil
}

// ruleFiles are the files that patterns name, as the gateway reads them.
func ruleFiles(patterns []string) ([]string, error) {
	var files []string
	for _, pattern := range patterns {
		if rulefile.IsPack(pattern) {
			files = append(files, pattern)
			continue
		}
		found, err := filepath.Glob(pattern)
		if err == nil && len(found) == 0 {
			err = errors.New("there is no such file")
		}
		if err != nil {
			return nil, fmt.Errorf("reading the rules: %s: %w", pattern, err)
		}
		files = append(files, found...)
	}
	return files, nil
}
