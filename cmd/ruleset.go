package cmd

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/caddyserver/caddy/v2"
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
	var docs []*rules.Document
	var err error
	if len(patterns) > 0 {
		docs, err = loadDocuments(patterns)
	} else {
		docs, err = enforcedHere()
	}
	if err != nil {
		return nil, err
	}
	return compileForNobody(docs)
}

// loadDocuments reads what patterns name, as the gateway does.
func loadDocuments(patterns []string) ([]*rules.Document, error) {
	names, err := rulefile.Expand(patterns)
	if err != nil {
		return nil, err
	}
	files, err := rulefile.ReadAll(names)
	if err != nil {
		return nil, err
	}
	return rulefile.Load(files)
}

// testKeys are the keys of `keys: test`, and of rules that are only looked at. They protect nothing.
var testKeys = map[string][]byte{"test": []byte("a key for fixtures, no secret")}

// compileForNobody compiles rules by which no value of anybody is written: a rule that pseudonymizes needs a key to load.
func compileForNobody(docs []*rules.Document) (*rules.Ruleset, error) {
	keys, err := rules.NewKeyRing(testKeys)
	if err != nil {
		return nil, fmt.Errorf("making the keys: %w", err)
	}
	return rules.Compile(docs, rules.Options{Keys: keys})
}

// enforcedHere are the documents that the Caddyfile here enforces.
func enforcedHere() ([]*rules.Document, error) {
	const other = "; use --rules FILE"
	if _, err := os.Stat("Caddyfile"); err != nil {
		return nil, errors.New("naming the rules: there is no ./Caddyfile here" + other)
	}
	config, err := readConfig("Caddyfile")
	if err != nil {
		return nil, err
	}
	names, err := configuredRules(config)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, errors.New("naming the rules: ./Caddyfile's global option `minimize` has no `rules`" + other)
	}
	docs, err := loadDocuments(names)
	if err != nil {
		return nil, err
	}
	choices := choicesOf(config)
	for _, choice := range choices {
		if !slices.Equal(choice, choices[0]) {
			return nil, errors.New("naming the rules: the routes of ./Caddyfile have different `documents`; name those of one with --rules FILE")
		}
	}
	if len(choices) > 0 {
		docs = choose(docs, choices[0])
	}
	return slices.DeleteFunc(docs, func(d *rules.Document) bool { return d.Candidate }), nil
}

// configuredRules are the files and packs that a gateway's configuration names.
func configuredRules(config []byte) ([]string, error) {
	var patterns []string
	for _, p := range gjson.GetBytes(config, "apps.minimize.rules").Array() {
		resolved, err := caddy.NewReplacer().ReplaceOrErr(p.Str, true, true)
		if err != nil {
			return nil, fmt.Errorf("reading the rules %q: a placeholder is empty; set it in the environment as for the gateway", p.Str)
		}
		patterns = append(patterns, resolved)
	}
	names, err := rulefile.Expand(patterns)
	for i, name := range names {
		if !rulefile.IsPack(name) {
			names[i] = relative(name)
		}
	}
	return names, err
}

// choicesOf are the documents that each route of a configuration chooses, sorted; none is all of them.
func choicesOf(config []byte) [][]string {
	g := &gatewayLint{lint: new(lint), lines: &caddyLines{taken: map[string]int{}}}
	g.lintServers(gjson.ParseBytes(config))
	for _, choice := range g.choices {
		slices.Sort(choice)
	}
	return g.choices
}
