package rules

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// instanceOf reads a document as an editor does: YAML 1.2, where a date and NO are texts.
func instanceOf(t *testing.T, data []byte) any {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Load(data, &doc); err != nil {
		t.Fatalf("%v in\n%s", err, data)
	}
	return instance(doc.Content[0])
}

func instance(n *yaml.Node) any {
	switch {
	case n.Kind == yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			m[n.Content[i].Value] = instance(n.Content[i+1])
		}
		return m
	case n.Kind == yaml.SequenceNode:
		s := []any{}
		for _, item := range n.Content {
			s = append(s, instance(item))
		}
		return s
	case n.Tag == "!!null":
		return nil
	case n.Tag == "!!bool":
		return strings.EqualFold(n.Value, "true")
	case n.Tag == "!!int", n.Tag == "!!float":
		return json.Number(n.Value)
	default:
		return n.Value
	}
}

// TestSchemaDocuments: what Parse reads whole, an editor does not underline; what Parse refuses for a reason that the tree
// shows, it does. Errors of the YAML text itself are the editor's own to find.
func TestSchemaDocuments(t *testing.T) {
	s := compileSchema(t)
	good, _ := filepath.Glob("testdata/*.yaml")
	packs, _ := filepath.Glob("packs/*.yaml")
	good = append(good, packs...)
	good = append(good, "../cmd/init/rules/api.yaml")
	scenarios, _ := filepath.Glob("../test/scenarios/*.yaml")
	for _, file := range scenarios {
		if !strings.HasSuffix(file, ".fixtures.yaml") && !strings.HasSuffix(file, ".promises.yaml") {
			good = append(good, file)
		}
	}
	for _, file := range good {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(file, data); err != nil {
			t.Errorf("Parse: %v", err)
		}
		if err := s.Validate(instanceOf(t, data)); err != nil {
			t.Errorf("%s: the schema refuses it: %v", file, err)
		}
	}
	for _, name := range []string{"keys", "types", "selectors", "names", "dates", "version", "list"} {
		data, err := os.ReadFile("testdata/broken/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if s.Validate(instanceOf(t, data)) == nil {
			t.Errorf("%s.yaml: the schema accepts it", name)
		}
	}
}

// TestSchemaAgrees holds Parse and the schema against each other, one question at a time.
func TestSchemaAgrees(t *testing.T) {
	s := compileSchema(t)
	const rule = "allow: [{id: a, to: b, for: c, keep: order, "
	const limit = "limit: [{id: a, to: b, block: order, "
	const entry = "recipients: {a: {kind: own, "
	for _, c := range []struct {
		text string
		good bool
	}{
		{"", true}, {"rols: [a]", false}, {"roles: [a, b]", true}, {"roles: a", true}, {"roles: []", false}, {"roles: [a, a]", false},
		{"roles: [a b]", false}, {"roles: [客服, realm:admin]", true}, {"roles: {a: b}", false}, {"roles:", false}, {"roles: [7]", true},
		{"home: NO", true}, {"home: EEA", true}, {"home: UK", false}, {"home: no", false}, {"home: [CN]", false}, {"home: NORDIC", true}, {"home: Nordic", false},
		{"zones: {NORDIC: [SE, NO], DACH_2: CH, EUR-1: [EEA, CH]}", true}, {"zones: {EEA: [SE]}", false}, {"zones: {SE: [NO]}", false}, {"zones: {EU: [SE]}", false},
		{"zones: {nordic: [SE]}", false}, {"zones: {NORDIC: []}", false}, {"zones: {NORDIC: [SE, SE]}", false}, {"zones: {NORDIC: [DACH]}", false}, {"zones: [SE]", false},
		{"policy: 6", true}, {"policy: 0", false}, {"policy: six", false}, {"policy: \"6\"", false},
		{"candidate: true", true}, {"candidate: yes", false},
		{"operations: GET /a", true}, {"operations: [GET /, \"* /a/**\", GET /a/*/b]", true}, {"operations: GET /a/", false}, {"operations: GET /a;b", false}, {"operations: [get /a]", false},
		{"operations: [GET /a*]", false}, {"operations: [GET /a/**/b]", false}, {"operations: [GET /a/../b]", false},
		{"operations: [\"GET /a?b\"]", false}, {"operations: [GET //a]", false}, {"operations: [GET]", false},
		{"values: []", true}, {"values: imei", true}, {"values: [a, a]", false},
		{"undeclared: strip", true}, {"undeclared: mask", false},
		{"signed: [/sign, /**/sign]", true}, {"signed: [sign]", false},
		{"categories: {a.b: {grade: personal}}", true}, {"categories: {a.b: {}}", false}, {"categories: {a.b: {grade: high}}", false},
		{"categories: {A.b: {grade: open}}", false}, {"categories: {none: {grade: open}}", false}, {"categories: {secret: {grade: open}}", false},
		{"categories: {a: {grade: open, mask: \"3+4\", blank: uuid, text: true}}", true}, {"categories: {a: {grade: open, blank: \"0\"}}", false},
		{"categories: {a: {grade: open, mask: 12+0}}", true}, {"categories: {a: {grade: open, mask: 13+0}}", false},
		{"categories: {a: {grade: open, mask: coordinate}}", true}, {"categories: {a: {grade: open, mask: stars}}", false},
		{"records: [{at: /a}]", true}, {"records: [{at: \"\"}]", true}, {"records: [{at: /}]", false}, {"records: [{at: a}]", false},
		{"records: [{subject: /a}]", false}, {"records: [{at: /a, subject: /*/b}]", false}, {"records: [{at: /a, subject: /a/~2}]", true},
		{"records: [{at: /a, subject: /**}]", false}, {"records: [{at: /a, subject: /~3}]", false}, {"records: [{at: /**/**}]", false},
		{"records: [{at: /a, retain: 3y}]", false}, {"records: [{at: /a, created: /c, retain: 3y}]", true},
		{"records: [{at: /a, created: /c, retain: 0y}]", false}, {"records: [{at: /a, created: /c, retain: 3w}]", false},
		{"records: [{at: [/a, \"\"], subject: [/i, /j/k], country: [/c], born: [/b, /age], created: [/c, /d], retain: 3y}]", true},
		{"records: [{at: []}]", false}, {"records: [{at: [/a, /a]}]", false}, {"records: [{at: [/a, /]}]", false},
		{"records: [{at: /a, subject: []}]", false}, {"records: [{at: /a, subject: [/i, /i]}]", false}, {"records: [{at: /a, subject: [/i, /*]}]", false},
		{"records: [{at: /a, minor: 1}]", false}, {"records: {at: /a}", false},
		{"fields: [{at: /a, is: order}]", true}, {"fields: [{key: [a, 串号], in: card, is: none}]", true}, {"fields: [{words: 逾期, is: a.b}]", true},
		{"fields: [{at: /a, key: b, is: order}]", false}, {"fields: [{is: order}]", false}, {"fields: [{at: /a}]", false},
		{"fields: [{at: /a, in: b, is: order}]", false}, {"fields: [{key: /a, is: order}]", false}, {"fields: [{at: /a, is: Order}]", false},
		{"fields: [{at: /a, is: a, least: 10}]", true}, {"fields: [{at: /a, is: a, least: 0}]", false}, {"fields: [{at: /a, is: a, least: ten}]", false},
		{"fields: [{key: \" \", is: order}]", false}, {"fields: [{key: \"a\\tb\", is: order}]", false},
		{"recipients: {a: {}}", false}, {"recipients: {a: }", false}, {entry + "}}", true}, {"recipients: {a: {kind: friend}}", false},
		{entry + "country: EEA}}", true}, {entry + "country: EU}}", false}, {entry + "country: NO}}", true}, {entry + "hosts: https://a.example:8443}}", true},
		{entry + "hosts: https://a.example/}}", false}, {entry + "hosts: a.example}}", false}, {entry + "credentials: [X-Key]}}", true},
		{entry + "credentials: [\"X Key\"]}}", false}, {entry + "contract: {}}}", false}, {entry + "contract: {from: 2026-01-01, until: 2026-12-31}}}", true},
		{entry + "contract: {from: 2026-13-01}}}", false}, {entry + "suspended: 2026-01-01T00:00:00+01:00}}", true},
		{entry + "suspended: 2026-01-01T00:00:00}}", false}, {entry + "denied: strip, undeclared: strip, since: 2}}", true},
		{entry + "denied: drop}}", false}, {entry + "transfer: {mechanism: adequacy}}}", true}, {entry + "transfer: {}}}", false},
		{entry + "transfer: {mechanism: adequacy, consent: bundled}}}", false},
		{entry + "transfer: {mechanism: adequacy, categories: [device, personal], assessment: A 1}}}", true},
		{rule + "}]", true}, {"allow: [{id: a, to: b, for: c}]", false}, {"allow: [{to: b, for: c, keep: d}]", false},
		{"allow: [{id: a, for: c, keep: d}]", false}, {"allow: [{id: a, to: b, keep: d}]", false}, {"allow: {id: a}", false},
		{rule + "consent: separate}]", true}, {rule + "consent: bundled}]", false}, {rule + "consent: separate, basis: contract}]", false},
		{rule + "consent: written, basis: consent}]", true}, {rule + "basis: contract}]", true}, {rule + "basis: none}]", false},
		{rule + "over: 50/day}]", false}, {rule + "law: x}]", false}, {rule + "unless: {case: x}}]", false},
		{rule + "numbers: string, length: hide, masks: {contact.phone: \"3+4\"}}]", true}, {rule + "numbers: text}]", false},
		{rule + "when: {mfa: true, level: [1, 2], /a/b: x, minor: true, download: false, country: [NO, EEA, NORDIC]}}]", true},
		{rule + "when: {/*/a: x}}]", false}, {rule + "when: {a b: x}}]", false}, {rule + "when: {minor: 1}}]", false}, {rule + "when: {minor: known}}]", true},
		{rule + "when: {minor: [known, false]}}]", false}, {rule + "when: {minor: [true, known]}}]", false}, {rule + "when: {minor: [true, false]}}]", true},
		{rule + "when: {mfa: }}]", false}, {rule + "when: {mfa: []}}]", false}, {rule + "when: {country: Norway}}]", false},
		{rule + "hash: device}]", false}, {rule + "mask: [none]}]", false}, {rule + "mask: [a b]}]", false}, {rule + "block: secret, case: ticket}]", true},
		{limit + "}]", true}, {limit + "for: x, law: PIPL 25, over: 50/day}]", true}, {limit + "over: 0/day}]", false}, {limit + "over: 50}]", false},
		{limit + "case: x}]", false}, {limit + "keep: x}]", false}, {limit + "unless: {}}]", false}, {limit + "unless: {roles: x}}]", false},
		{limit + "unless: {consent: explicit, case: court_order, purpose: [a, b], organisation: c}}]", true},
	} {
		data := []byte("minimize: 1\n" + c.text)
		if _, err := Parse("a.yaml", data); (err == nil) != c.good {
			t.Errorf("%s: Parse says %v, want good = %v", c.text, err, c.good)
		}
		if err := s.Validate(instanceOf(t, data)); (err == nil) != c.good {
			t.Errorf("%s: the schema says %v, want good = %v", c.text, err, c.good)
		}
	}
}

// TestSchemaDescribes: an editor shows a description for every key that a document can have.
func TestSchemaDescribes(t *testing.T) {
	var root any
	if err := json.Unmarshal(Schema, &root); err != nil {
		t.Fatal(err)
	}
	keys := 0
	var walk func(at string, v any)
	walk = func(at string, v any) {
		m, _ := v.(map[string]any)
		if properties, ok := m["properties"].(map[string]any); ok && !strings.Contains(at, "dependentSchemas") {
			for name, p := range properties {
				keys++
				if text, _ := p.(map[string]any)["description"].(string); len(text) < 8 {
					t.Errorf("%s/%s has no description", at, name)
				}
			}
		}
		for name, child := range m {
			walk(at+"/"+name, child)
		}
	}
	walk("", root)
	if keys < 80 {
		t.Errorf("found only %d keys: has the schema changed its form?", keys)
	}
}
