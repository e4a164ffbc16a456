package cmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v4"
)

// bodyOf writes a body as JSON: a text is a raw body, anything else a tree, whose names keep their order.
func bodyOf(n *yaml.Node) ([]byte, error) {
	switch n.Kind {
	case 0:
		return nil, errors.New("is missing")
	case yaml.ScalarNode:
		return []byte(n.Value), nil
	default:
		return appendJSON(nil, n)
	}
}

func appendJSON(dst []byte, n *yaml.Node) ([]byte, error) {
	switch n.Kind {
	case yaml.MappingNode:
		return appendMembers(dst, n, '{', '}', 2)
	case yaml.SequenceNode:
		return appendMembers(dst, n, '[', ']', 1)
	case yaml.ScalarNode:
		return appendScalar(dst, n)
	default:
		return nil, fmt.Errorf("line %d: anchors and aliases cannot be written as JSON; write it out", n.Line)
	}
}

// appendMembers writes the values of a mapping, two nodes each, or of a list.
func appendMembers(dst []byte, n *yaml.Node, open, end byte, each int) ([]byte, error) {
	dst = append(dst, open)
	for i := 0; i < len(n.Content); i += each {
		if i > 0 {
			dst = append(dst, ',')
		}
		if each == 2 {
			if n.Content[i].Kind != yaml.ScalarNode {
				return nil, fmt.Errorf("line %d: a name is a text", n.Content[i].Line)
			}
			dst = append(appendText(dst, n.Content[i].Value), ':')
		}
		var err error
		if dst, err = appendJSON(dst, n.Content[i+each-1]); err != nil {
			return nil, err
		}
	}
	return append(dst, end), nil
}

// appendScalar keeps a number as it is spelled: 12.50 is not 12.5 to whoever compares bytes.
func appendScalar(dst []byte, n *yaml.Node) ([]byte, error) {
	switch n.Tag {
	case "!!null":
		return append(dst, "null"...), nil
	case "!!bool":
		return append(dst, strings.ToLower(n.Value)...), nil
	case "!!int", "!!float":
		if !json.Valid([]byte(n.Value)) {
			return nil, fmt.Errorf("line %d: this is no number as JSON writes it; put quotes around a text", n.Line)
		}
		return append(dst, n.Value...), nil
	default:
		return appendText(dst, n.Value), nil
	}
}

// appendText writes a JSON string, leaving < > & alone.
func appendText(dst []byte, s string) []byte {
	if !strings.ContainsFunc(s, escaped) {
		return append(append(append(dst, '"'), s...), '"')
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	return append(dst, bytes.TrimRight(b.Bytes(), "\n")...)
}

// escaped are the characters that a JSON string may hold in an escape only, and what an encoder treats in its own way.
func escaped(r rune) bool { return r < ' ' || r == '"' || r == '\\' || r >= 0x7f }

// tree is a JSON value with all its members, those of the same name included, which a map would drop.
type tree struct {
	kind  byte // { [ " 0 t (true or false) n (null)
	text  string
	names []string // of an object's items
	items []*tree
}

// parseTree reads one JSON document.
func parseTree(data []byte) (*tree, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	t, err := readTree(d)
	if err != nil {
		return nil, fmt.Errorf("reading it as JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("reading it as JSON: there is more behind its end")
	}
	return t, nil
}

func readTree(d *json.Decoder) (*tree, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch v := token.(type) {
	case json.Delim:
		return readItems(d, byte(v))
	case string:
		return &tree{kind: '"', text: v}, nil
	case json.Number:
		return &tree{kind: '0', text: v.String()}, nil
	case bool:
		return &tree{kind: 't', text: fmt.Sprint(v)}, nil
	default:
		return &tree{kind: 'n', text: "null"}, nil
	}
}

func readItems(d *json.Decoder, kind byte) (*tree, error) {
	t := &tree{kind: kind}
	for d.More() {
		if kind == '{' {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			t.names = append(t.names, name.(string))
		}
		item, err := readTree(d)
		if err != nil {
			return nil, err
		}
		t.items = append(t.items, item)
	}
	_, err := d.Token()
	return t, err
}

// String writes the tree as JSON on one line.
func (t *tree) String() string {
	var b strings.Builder
	t.write(&b)
	return b.String()
}

func (t *tree) write(b *strings.Builder) {
	switch t.kind {
	case '"':
		b.Write(appendText(nil, t.text))
	case '{', '[':
		b.WriteByte(t.kind)
		for i, item := range t.items {
			if i > 0 {
				b.WriteByte(',')
			}
			if t.kind == '{' {
				b.Write(append(appendText(nil, t.names[i]), ':'))
			}
			item.write(b)
		}
		b.WriteByte(t.kind + 2) // ASCII: } is { + 2, ] is [ + 2
	default:
		b.WriteString(t.text)
	}
}
