package consentstore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"github.com/caddyserver/certmagic"
)

// mark remembers apart from a store which one it is. Who has a mark opens no other one: a file that was deleted, or a database
// that was made anew, would start as if nobody had ever objected.
type mark struct {
	storage certmagic.Storage // nil: it remembers nothing
	key     string
}

func newMark(storage certmagic.Storage, node, place string) mark {
	hash := sha256.Sum256([]byte(node + "\n" + place))
	return mark{storage, "minimize/consent_stores/" + hex.EncodeToString(hash[:8])}
}

// migrate opens the store if it is the one that was here before, and remembers it if there was none.
func (m mark) migrate(ctx context.Context, s Store) error {
	if m.storage == nil {
		return s.Migrate(ctx)
	}
	known, err := m.known(ctx)
	if err != nil {
		return err
	}
	s.Expect(cmp.Or(known, s.ID())) // it was opened once where only the mark could not be stored
	err = s.Migrate(ctx)
	if errors.Is(err, ErrOther) {
		return m.other(err)
	}
	if err != nil || s.ID() == known {
		return err
	}
	return m.remember(ctx, s.ID())
}

// compare is migrate of a store that is open.
func (m mark) compare(ctx context.Context, id string) error {
	known, err := m.known(ctx)
	switch {
	case err != nil || known == id:
		return err
	case known != "":
		return m.other(ErrOther)
	}
	return m.remember(ctx, id)
}

// known is which store was here before; "": none.
func (m mark) known(ctx context.Context) (string, error) {
	id, err := m.storage.Load(ctx, m.key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: asking Caddy's storage which consent store was here before: %w", ErrAway, err)
	}
	if err == nil && len(id) == 0 { // it was written half, or put back from a full disk
		return "", fmt.Errorf("which consent store was here before is not known: %w", m.other(ErrOther))
	}
	return string(id), nil
}

func (m mark) remember(ctx context.Context, id string) error {
	if err := m.storage.Store(ctx, m.key, []byte(id)); err != nil {
		return fmt.Errorf("%w: remembering in Caddy's storage which consent store this is: %w", ErrAway, err)
	}
	return nil
}

func (m mark) other(err error) error {
	return fmt.Errorf("%w: put that one back; or, where a new one is meant, delete %s and start again; "+
		"but where another gateway shares Caddy's storage and has a store of its own, delete nothing and give each a `node`", err, m.place())
}

// place is what an operator can delete.
func (m mark) place() string {
	if files, ok := m.storage.(*certmagic.FileStorage); ok {
		return files.Filename(m.key)
	}
	return m.key + " in Caddy's storage"
}
