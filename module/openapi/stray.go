package openapi

import (
	"strings"

	"go.yaml.in/yaml/v4"
)

// rest reads what no operation uses, so that its annotations are checked, too: components, webhooks, callbacks.
func (s *Spec) rest() {
	s.describe(s.root)
	s.checkMaps()
}

// describe finds what may have an annotation: Schema, Parameter and Header Objects.
func (s *Spec) describe(n *yaml.Node) {
	for name, value := range pairs(n) {
		switch key := name.Value; {
		case isExample(key):
			continue
		case key == "responses": // its keys are names, and one of them is `default`
			for _, response := range pairs(value) {
				s.describe(response)
			}
			continue
		case key == "schema", key == "itemSchema":
			s.of(value)
			continue
		case key == "schemas":
			for _, schema := range pairs(value) {
				s.of(schema)
			}
			continue
		case key == "parameters", key == "headers":
			for _, described := range append(values(value), items(value)...) {
				s.visited[described] = true
			}
		}
		s.describe(value)
	}
	for _, item := range items(n) {
		s.describe(item)
	}
}

func values(n *yaml.Node) []*yaml.Node {
	var all []*yaml.Node
	for _, value := range pairs(n) {
		all = append(all, value)
	}
	return all
}

// isExample reports whether what stands under a key is data and describes none.
func isExample(key string) bool {
	switch key {
	case "example", "examples", "default", "const", "enum":
		return true
	}
	return strings.HasPrefix(key, "x-")
}

// checkNotes finds annotations where they say nothing: whoever wrote them believes that a field is covered.
func (s *Spec) checkNotes(n *yaml.Node) {
	for name, value := range pairs(n) {
		switch key := name.Value; {
		case key == classification || key == sensitiveData:
			if s.known[n] == nil && !s.visited[n] {
				s.fail(name, "an annotation belongs to a schema, a parameter or a header; here it says nothing")
			}
		case key == "properties" || key == "responses": // their keys are names
			for _, named := range pairs(value) {
				s.checkNotes(named)
			}
		case !isExample(key):
			s.checkNotes(value)
		}
	}
	for _, item := range items(n) {
		s.checkNotes(item)
	}
}
