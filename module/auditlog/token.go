package auditlog

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-minimize/minimize/module/rulefile"
	"github.com/caddy-minimize/minimize/rules"
)

// What an id in an entry is of. One person has different tokens as a caller and as a data subject.
const (
	Caller  rules.Category = "caller"
	Subject rules.Category = "subject"
	Case    rules.Category = "case"
)

// Begun is the outcome of an entry for a message that another entry under the same decision will be about.
const Begun = "begun"

// Token is what an entry has in place of an id: the same one is seen again, and nobody without the key learns whose it is.
// Without keys nothing is written.
func Token(keys *rules.KeyRing, of rules.Category, id string) string {
	if id == "" || keys == nil {
		return ""
	}
	return string(keys.Append(nil, "audit", of, []byte(id)))
}

// Tokens are those of the ids under every key of a gateway's key directory, because keys rotate and entries stay.
func Tokens(dir string, of rules.Category, ids []string) ([]string, error) {
	keys, err := rulefile.Keys(dir)
	if err != nil {
		return nil, err // whoever is not looked for under one of them would seem to be in no entry
	}
	if _, err := rules.NewKeyRing(keys); err != nil {
		return nil, fmt.Errorf("reading the keys: %w", err)
	}
	var tokens []string
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		if strings.Contains(name, "_") {
			continue // a recipient's own
		}
		ring, _ := rules.NewKeyRing(map[string][]byte{name: keys[name]}) // all of them are keys
		for _, id := range ids {
			tokens = append(tokens, Token(ring, of, id))
		}
	}
	return tokens, nil
}
