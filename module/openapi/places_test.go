package openapi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-minimize/minimize/rules"
)

// TestLoops holds where schemas that lead to themselves put their fields. Every place that a body can have is one of them.
func TestLoops(t *testing.T) {
	for _, c := range []struct {
		name, schemas string // the first is the body
		bodies        []string
		want          string
	}{
		{"a list of itself", "{A: {properties: {phone: NOTE, kids: {type: array, items: {$ref: A}}}}}",
			[]string{"/phone", "/kids/0/phone", "/kids/0/kids/7/phone"}, "/**/kids/*/phone /phone"},
		{"a chain", "{A: {properties: {next: {$ref: B}}}, B: {properties: {phone: NOTE, back: {$ref: A}}}}",
			[]string{"/next/phone", "/next/back/next/phone"}, "/**/next/phone"},
		{"a map of maps", "{A: {properties: {}, additionalProperties: {$ref: A}, patternProperties: {phone: NOTE}}}",
			nil, "/* /**/*/*"},
		{"below a list", "{L: {type: array, items: {$ref: A}}, A: {allOf: [{properties: {phone: NOTE}}, {properties: {parent: {$ref: A}}}]}}",
			[]string{"/3/phone", "/3/parent/phone", "/3/parent/parent/phone"}, "/*/**/parent/phone /*/phone"},
		{"a loop of nothing", "{A: {allOf: [{$ref: B}], properties: {phone: NOTE}}, B: {oneOf: [{$ref: A}]}}",
			[]string{"/phone"}, "/phone"},
		{"a mapping", "{A: {discriminator: {mapping: {b: B}}, properties: {kind: {}}}, B: {allOf: [{$ref: A}], properties: {phone: NOTE}}}",
			[]string{"/phone"}, "/phone"},
		{"out of a loop", "{A: {properties: {again: {$ref: A}, out: {properties: {deep: {properties: {phone: NOTE}}}}}}}",
			[]string{"/out/deep/phone", "/again/out/deep/phone", "/again/again/out/deep/phone"}, "/**/deep/phone /out/deep/phone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			first := strings.TrimLeft(c.schemas, "{")[:1]
			schemas := strings.NewReplacer("NOTE", "{x-data-classification: {category: contact.fax}}").Replace(c.schemas)
			for _, name := range []string{"A", "B", "L"} {
				schemas = strings.ReplaceAll(schemas, "$ref: "+name+"}", "$ref: '#/components/schemas/"+name+"'}")
			}
			schemas = strings.ReplaceAll(schemas, "mapping: {b: B}", "mapping: {b: '#/components/schemas/B'}")
			d, err := Parse(Text{"a.yaml", fmt.Appendf(nil, "openapi: 3.1.0\npaths: {/: {get: {responses: {default: {content: {application/json: {schema: {$ref: '#/components/schemas/%s'}}}}}}}}\n"+
				"components: {schemas: %s}\n", first, schemas)}, Text{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range d.Routes[0].Fields {
				got = append(got, f.At.String())
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("places are %s, want %s", got, c.want)
			}
			r, err := rules.Compile([]*rules.Document{d}, rules.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, pointer := range c.bodies {
				if is := categoryAt(r.Scope("GET", "/"), pointer); is != "contact.fax" {
					t.Errorf("%s is %q", pointer, is)
				}
			}
		})
	}
}

// categoryAt is what a scope says of the place of a pointer.
func categoryAt(s *rules.Scope, pointer string) rules.Category {
	place := s.Root()
	for step := range strings.SplitSeq(pointer[1:], "/") {
		name := s.Name([]byte(step))
		if step[0] >= '0' && step[0] <= '9' {
			place = s.Element(place, int(step[0]-'0'))
		} else {
			place = s.Member(place, &name)
		}
	}
	if spot := s.Spot(place); place != 0 && spot != nil && spot.Label != nil {
		return s.Rules().Categories()[spot.Label.Category].Name
	}
	return ""
}

// TestAmbiguousLoop: two fields of the same name at any depth, which no selector tells apart, are both the more harmful one.
func TestAmbiguousLoop(t *testing.T) {
	const api = `openapi: 3.1.0
paths: {/: {get: {responses: {default: {content: {application/json: {schema: {$ref: '#/components/schemas/A'}}}}}}}}
components:
  schemas:
    A: {properties: {next: {oneOf: [{$ref: '#/components/schemas/B'}, {$ref: '#/components/schemas/C'}]}}}
    B: {properties: {tag: {x-data-classification: {category: FIRST}}, back: {$ref: '#/components/schemas/A'}}}
    C: {properties: {tag: {x-data-classification: {category: SECOND}}, back: {$ref: '#/components/schemas/A'}}}
`
	for _, order := range [][]string{{"account.name", "health"}, {"health", "account.name"}} {
		d, err := Parse(Text{"a.yaml", []byte(strings.NewReplacer("FIRST", order[0], "SECOND", order[1]).Replace(api))}, Text{})
		if err != nil {
			t.Fatal(err)
		}
		fields := d.Routes[0].Fields
		if len(fields) != 1 || fields[0].Is != "health" {
			t.Errorf("%s: %v", order, fields)
		}
	}
	// Equally harmful ones would each be without the other's limits.
	d, err := Parse(Text{"a.yaml", []byte(strings.NewReplacer("FIRST", "contact.phone", "SECOND", "person.name").Replace(api))}, Text{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rules.Compile([]*rules.Document{d}, rules.Options{}); err == nil || !strings.Contains(err.Error(), "a.yaml:6:") {
		t.Errorf("two categories of one place: %v", err)
	}
}

// TestNoteNeverLowers: whatever stands in an annotation, a field is no less harmful than its category and than its own name
// inside a registry's word, and a mask of it shows no more than the category's.
func TestNoteNeverLowers(t *testing.T) {
	base := basePack()
	names := [][2]string{{"email", ""}, {"password", "user"}, {"card_number", "payment"}, {"x", ""}, {"nickname", ""}, {"phone", "buyer"}}
	words := []string{"PII", "financial", "government-id", "health", "secret", "credential", "contact", "other", "contact.email", "location.precise", "order.number"}
	maskings := []string{"", "masking: {strategy: full}", "masking: {strategy: hash}", "masking: {strategy: partial, keep: last-4}", "masking: {strategy: partial, keep: first-12}",
		"masking: {strategy: regex, pattern: '.*', replacement: $0}", "masking: {strategy: tokenize}", "masking: {strategy: remove}"}
	for _, word := range words {
		for _, sensitivity := range []string{"", "public", "internal", "confidential", "restricted"} {
			for _, masking := range maskings {
				parts := []string{"category: " + word}
				if sensitivity != "" {
					parts = append(parts, "sensitivity: "+sensitivity)
				}
				if masking != "" {
					parts = append(parts, masking)
				}
				tree := newTree("a.yaml")
				root := tree.load([]byte("x-data-classification: {" + strings.Join(parts, ", ") + "}\n"))
				n := tree.noteOf(root)
				if len(tree.errs) > 0 {
					t.Fatalf("%s: %v", parts, tree.errs)
				}
				for _, at := range names {
					is, made := n.categoryOf(at[0], at[1])
					grade := base.categories[n.is].Grade
					if made != nil {
						if grade = max(grade, n.least); made.Grade < grade || made.Grade < base.categories[parentOf(is, base)].Grade {
							t.Errorf("%s at %s is %s, %s", parts, at, is, made.Grade)
						}
						continue
					}
					if own := base.categories[is]; own == nil || own.Grade < max(grade, n.least) {
						t.Errorf("%s at %s is %s", parts, at, is)
					}
					if n.masked && n.shown == (edges{}) && base.maskOf(is) != "all" {
						t.Errorf("%s at %s is %s, whose mask shows something", parts, at, is)
					}
					if named := base.named(at[0], at[1]); n.word != "" && named != nil && named.Grade > base.categories[is].Grade {
						t.Errorf("%s at %s is %s, and its name says %s", parts, at, is, named.Name)
					}
				}
			}
		}
	}
}

// parentOf is the base pack's category that one below it was made of.
func parentOf(is rules.Category, b *base) rules.Category {
	for b.categories[is] == nil {
		is = is[:strings.LastIndexByte(string(is), '.')]
	}
	return is
}
