// Package guess finds what is personal in samples of documents: by what names and detectors know, and where names tell
// nothing by how many values of a place look alike. It keeps counts and hashes of values, and no value.
package guess

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"strings"

	"github.com/caddy-minimize/minimize/rules"
)

const (
	maxDepth  = 128     // as deep as bodies are read
	maxNested = 3       // texts in texts that are documents, likewise
	maxPlaces = 20_000  // more are none of a document's form
	maxInner  = 1 << 20 // bytes of a text that may be a document
)

const byteOrderMark = "\xef\xbb\xbf"

// Guesser gathers what samples hold. It takes the same memory however many there are.
type Guesser struct {
	scope  *rules.Scope
	seed   maphash.Seed
	root   *place
	params *place // of queries and forms, which have names and no places
	places int
	docs   int
	values int
}

// New returns a Guesser that knows what a scope declares.
func New(s *rules.Scope) *Guesser {
	g := &Guesser{scope: s, seed: maphash.MakeSeed()}
	g.root = g.newPlace(nil, rules.Step{}, s.Root())
	g.params = g.newPlace(nil, rules.Step{}, 0)
	g.params.named = true
	return g
}

// Read takes one JSON document after the other. An error says where, and nothing of what stands there.
func (g *Guesser) Read(r io.Reader) error {
	buffered := bufio.NewReader(r)
	if start, _ := buffered.Peek(len(byteOrderMark)); string(start) == byteOrderMark {
		buffered.Discard(len(byteOrderMark)) // some editors write one; RFC 8259 section 8.1 lets readers pass over it
	}
	d := json.NewDecoder(buffered)
	d.UseNumber()
	for {
		token, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			g.docs++
			err = g.value(d, token, g.root, 0, 0)
		}
		if err != nil {
			return fmt.Errorf("reading JSON at byte %d: %w", d.InputOffset(), plainError(err))
		}
	}
}

var (
	errTruncated = errors.New("it ends too early")
	errSyntax    = errors.New("it is not JSON")
	errDeep      = errors.New("it is nested too deeply")
)

// plainError says what is wrong in words of ours: those of the decoder quote what it read.
func plainError(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, errDeep):
		return errDeep
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errTruncated
	case errors.As(err, &syntax):
		return errSyntax
	}
	return err // of the file itself
}

// value attends to the value that begins with a token, at a place.
func (g *Guesser) value(d *json.Decoder, token json.Token, p *place, depth, nested int) error {
	switch v := token.(type) {
	case json.Delim:
		if depth == maxDepth {
			return errDeep
		}
		return g.container(d, v, p, depth+1, nested)
	case string:
		if inner := g.inner(v, p, nested); !inner {
			g.scalar(p, v, false)
		}
	case json.Number:
		g.scalar(p, v.String(), true)
	case bool:
		p.scalars++
		g.values++
	}
	return nil
}

func (g *Guesser) container(d *json.Decoder, open json.Delim, p *place, depth, nested int) error {
	if open == '{' {
		p.objects++
	}
	for d.More() {
		to := p
		token, err := d.Token()
		if err != nil {
			return err
		}
		if open == '{' {
			name, _ := token.(string)
			to = g.member(p, name)
			if token, err = d.Token(); err != nil {
				return err
			}
		} else {
			to = g.element(p)
		}
		if err := g.value(d, token, to, depth, nested); err != nil {
			return err
		}
	}
	_, err := d.Token() // its end
	return err
}

// inner reads a text that is a document. It reports whether it is one.
func (g *Guesser) inner(text string, p *place, nested int) bool {
	trimmed := strings.TrimSpace(text)
	if nested == maxNested || len(trimmed) < 2 || len(trimmed) > maxInner || trimmed[0] != '{' && trimmed[0] != '[' || !json.Valid([]byte(trimmed)) {
		return false
	}
	if p.inside == nil {
		p.inside = g.newPlace(p, rules.Step{}, 0)
		p.inside.named, p.inside.inherit = true, p.declared()
	}
	d := json.NewDecoder(bytes.NewReader([]byte(trimmed)))
	d.UseNumber()
	token, err := d.Token()
	return err == nil && g.value(d, token, p.inside, 0, nested+1) == nil
}

// Param takes a parameter of a query or a form.
func (g *Guesser) Param(name, value string) {
	p := g.member(g.params, name)
	if !g.inner(value, p, 0) {
		g.scalar(p, value, false)
	}
}
