package openapi

import (
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Extends returns the path of the document that an overlay extends, or "" where the text is no overlay. The path is
// relative to the overlay, and leads to its directory or below.
func Extends(overlay Text) (string, error) {
	if !isOverlay(overlay.Data) {
		return "", nil
	}
	t := newTree(overlay.File)
	root := t.load(overlay.Data)
	if root == nil {
		return "", t.errs.Err()
	}
	extends := t.get(root, "extends")
	if extends == nil {
		t.fail(root, "an overlay names the document that it annotates: `extends: vendor/openapi.yaml`, a path beside this file")
		return "", t.errs.Err()
	}
	if !filepath.IsLocal(extends.Value) || strings.Contains(extends.Value, "://") {
		t.fail(extends, "`extends` is a path to a file in this directory or below; others are not read")
	}
	return filepath.FromSlash(extends.Value), t.errs.Err()
}

// overlay applies the document that was read to the one that it extends (OpenAPI Overlay Specification 1.0), which is the
// document from then on.
func (s *Spec) overlay(extended Text) {
	over := s.root
	s.own(over, s.file)
	s.file = extended.File
	if s.root = s.load(extended.Data); s.root == nil {
		return
	}
	if s.get(s.root, "overlay") != nil {
		s.fail(s.root, "an overlay extends an OpenAPI document, and this is an overlay, too")
		s.root = nil
		return
	}
	for _, action := range items(s.get(over, "actions")) {
		s.apply(action)
	}
	if len(items(s.get(over, "actions"))) == 0 {
		s.fail(over, "an overlay has actions, each with a target and an update")
	}
	clear(s.members) // of what was changed
}

// own remembers which file nodes are from.
func (s *Spec) own(n *yaml.Node, file string) {
	s.files[n] = file
	for _, child := range n.Content {
		s.own(child, file)
	}
}

func (s *Spec) apply(action *yaml.Node) {
	target, update := s.get(action, "target"), s.get(action, "update")
	if target == nil || update == nil || s.text(action, "remove") == "true" {
		s.fail(action, "an action here has a target (a JSONPath) and an update; nothing is removed from a document that annotations belong to")
		return
	}
	path, err := parsePath(target.Value)
	if err != nil {
		s.fail(target, "%v", err)
		return
	}
	found := path.find(s.tree, s.root)
	if len(found) == 0 {
		// The specification lets such an action do nothing. Then the field that it was written for would have no rule.
		s.fail(target, "this target finds nothing in %s: look at its spelling, and whether the document has changed", filepath.Base(s.file))
	}
	for _, n := range found {
		if n.Kind != update.Kind || n.Kind == yaml.ScalarNode {
			s.fail(target, "this target finds what is not of the update's kind: keys go into a mapping, elements into a list")
			return
		}
		s.merge(n, update)
	}
}

// merge puts keys into a mapping and elements into a list, as deep as they go.
func (s *Spec) merge(n, update *yaml.Node) {
	delete(s.members, n)
	if n.Kind == yaml.SequenceNode {
		for _, item := range update.Content {
			n.Content = append(n.Content, s.copied(item))
		}
		return
	}
	for name, value := range pairs(update) {
		i := 0
		for i < len(n.Content) && n.Content[i].Value != name.Value {
			i += 2
		}
		if i >= len(n.Content) {
			n.Content = append(n.Content, s.copied(name), s.copied(value))
			continue
		}
		if old := n.Content[i+1]; old.Kind == value.Kind && old.Kind != yaml.ScalarNode {
			s.merge(old, value)
			continue
		}
		n.Content[i+1] = s.copied(value)
	}
}

// copied is a tree of its own: one update goes to several places, and the next one changes only some of them.
func (s *Spec) copied(n *yaml.Node) *yaml.Node {
	c := *n
	c.Content = make([]*yaml.Node, len(n.Content))
	for i, child := range n.Content {
		c.Content[i] = s.copied(child)
	}
	s.files[&c] = s.files[n]
	return &c
}
