package auditlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

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
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the keys: %w", err)
	}
	var tokens []string
	for _, entry := range entries {
		key, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil || strings.HasPrefix(entry.Name(), ".") {
			continue // as the gateway does
		}
		ring, err := rules.NewKeyRing(map[string][]byte{entry.Name(): key})
		if err != nil {
			continue // a recipient's own
		}
		for _, id := range ids {
			tokens = append(tokens, Token(ring, of, id))
		}
	}
	if len(tokens) == 0 {
		return nil, errors.New("reading the keys: there is none in the folder")
	}
	return tokens, nil
}
