package openapi

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-minimize/minimize/rules"
)

// nobody is an annotation that silences the name and the detectors.
const nobody = "x-data-classification: {category: none}"

// bodies writes a document with a body for each operation, "GET /a" answers with it and "in POST /a" reads it.
func bodies(components string, pairs ...string) string {
	var b strings.Builder
	b.WriteString("openapi: 3.1.0\npaths:\n")
	for i := 0; i < len(pairs); i += 2 {
		on, request := strings.CutPrefix(pairs[i], "in ")
		method, path, _ := strings.Cut(on, " ")
		key := "responses: {default: {content: {application/json: {schema: %s}}}}"
		if request {
			key = "requestBody: {content: {application/json: {schema: %s}}}"
		}
		if i == 0 || !strings.HasSuffix(pairs[i-2], on) {
			fmt.Fprintf(&b, "  %s:\n    %s:\n", path, strings.ToLower(method))
		}
		fmt.Fprintf(&b, "      "+key+"\n", pairs[i+1])
	}
	text := b.String() + "components: {schemas: {" + components + "}}\n"
	text = strings.ReplaceAll(text, "NOBODY", nobody)
	for _, name := range []string{"A", "B", "C"} {
		text = strings.ReplaceAll(text, "{$ref: "+name+"}", "{$ref: '#/components/schemas/"+name+"'}")
	}
	return text
}

// TestLower: an annotation that says less than a field's name holds only where everything that can stand there says so. An
// annotation of one schema must not open what another one describes.
func TestLower(t *testing.T) {
	const noted, plain = "{properties: {full_name: {NOBODY}}}", "{properties: {full_name: {type: string}}}"
	for _, c := range []struct {
		name, text, want string // "": it loads
	}{
		{"alone", bodies("", "GET /a", noted), ""},
		{"the request only", bodies("", "in POST /a", noted, "POST /a", plain), "a.yaml:5:"},
		{"the answer only", bodies("", "in POST /a", plain, "POST /a", noted), "a.yaml:6:"},
		{"both", bodies("", "in POST /a", noted, "POST /a", noted), ""},
		{"another method", bodies("", "in POST /a", plain, "GET /b", noted), ""},
		{"a general category", bodies("", "in POST /a", "{properties: {full_name: {x-data-classification: {category: account.name}}}}", "POST /a", plain), "a.yaml:5:"},
		{"a category that hides", bodies("", "in POST /a", "{properties: {full_name: {x-data-classification: {category: health}}}}", "POST /a", plain), ""},
		{"a suffix of a template", bodies("", "GET /users/{id}.json", noted, "GET /users/{id}", plain), "a.yaml:5:"},
		{"a concrete path", bodies("", "GET /me", plain, "GET /{any}", noted), "a.yaml:8:"},
		{"a concrete path that says so", bodies("", "GET /me", noted, "GET /{any}", noted), ""},
		{"a fragment", bodies("", "GET /orders", plain, "GET /orders#public", noted), "a.yaml:8:"},
		{"another case", bodies("", "GET /Orders", plain, "GET /orders", noted), "a.yaml:8:"},
		{"other steps", bodies("", "GET /orders", plain, "GET /orders/{id}", noted), ""},
		{"a pattern", bodies("", "GET /a", "{patternProperties: {'^tag_': {NOBODY}}}"), "a.yaml:5:"},
		{"a closed pattern", bodies("", "GET /a", "{patternProperties: {'^tag_': {NOBODY}}, additionalProperties: false}"), "a.yaml:5:"},
		{"a pattern beside others", bodies("", "GET /a", "{patternProperties: {'^tag_': {NOBODY}}, additionalProperties: {type: string}}"), "a.yaml:5:"},
		{"a pattern beside the same", bodies("", "GET /a", "{patternProperties: {'^tag_': {NOBODY}}, additionalProperties: {NOBODY}}"), ""},
		{"a map beside members", bodies("", "GET /a", "{allOf: [{additionalProperties: {NOBODY}}, "+plain+"]}"), "a.yaml:5:"},
		{"a general map beside members", bodies("", "GET /a",
			"{allOf: [{additionalProperties: {x-data-classification: {category: account.name}}}, "+plain+"]}"), "a.yaml:5:"},
		{"members beside a map", bodies("", "GET /a", "{allOf: ["+noted+", {additionalProperties: {type: string}}]}"), "a.yaml:5:"},
		{"a list instead", bodies("", "GET /a", "{oneOf: ["+noted+", {items: "+plain+"}]}"), ""},
		{"a variant", bodies("", "GET /a", "{oneOf: ["+noted+", "+plain+"]}"), "a.yaml:5:"},
		{"a variant's own", bodies("", "GET /a", "{oneOf: ["+noted+", {properties: {full_name: {x-data-classification: {category: person.name}}}}]}"), "a.yaml:5:"},
		{"a variant of the value", bodies("", "GET /a", "{properties: {full_name: {anyOf: [{NOBODY}, {type: string}]}}}"), "a.yaml:5:"},
		{"any value", bodies("", "GET /a", "{properties: {full_name: {anyOf: [{NOBODY}, true]}}}"), "a.yaml:5:"},
		{"null", bodies("", "GET /a", "{properties: {full_name: {anyOf: [{NOBODY}, {type: 'null'}]}}}"), ""},
		{"a condition", bodies("", "GET /a", "{properties: {full_name: {if: {const: x}, then: {NOBODY}}}}"), "a.yaml:5:"},
		{"a reference", bodies("A: {NOBODY}", "GET /a", "{properties: {full_name: {$ref: A}}}"), ""},
		{"a mapping", bodies("A: {properties: {full_name: {NOBODY}}, discriminator: {mapping: {b: '#/components/schemas/B'}}}, B: "+plain, "GET /a", "{$ref: A}"), "a.yaml:6:"},
		{"a loop", bodies("A: {properties: {shop: "+noted+", person: {properties: {shop: "+plain+"}}, children: {items: {$ref: A}}}}", "GET /a", "{$ref: A}"), "a.yaml:6:"},
		{"a loop that says so", bodies("A: {properties: {shop: "+noted+", children: {items: {$ref: A}}}}", "GET /a", "{$ref: A}"), ""},
		{"a place below a loop", bodies("A: {properties: {x: {properties: {full_name: {x-data-classification: {category: person.name}}}}, a: {$ref: A}}}",
			"in POST /a", "{properties: {a: {properties: {x: "+noted+"}}}}", "POST /a", "{$ref: A}"), "a.yaml:5:"},
		{"an element", bodies("", "GET /a", "{prefixItems: [{type: string}], items: {NOBODY}}"), "a.yaml:5:"},
		{"an element of its own", bodies("", "GET /a", "{prefixItems: [{x-data-classification: {category: location.precise}}], items: {NOBODY}}"), ""},
		{"a whole body", bodies("", "in POST /a", "{type: object, NOBODY}", "POST /a", plain), "a.yaml:5:"},
		{"a parameter", strings.Replace(bodies("", "GET /a", "{properties: {q: {type: string}, full_name: {x-data-classification: {category: health}}}}"),
			"      responses", "      parameters: [{name: Q, in: query, "+nobody+"}]\n      responses", 1), "a.yaml:5:"},
		{"two parameters", strings.Replace(bodies("", "GET /a", noted),
			"      responses", "      parameters: [{name: q, in: query, "+nobody+"}, {name: q, in: cookie, schema: {type: string}}]\n      responses", 1), "a.yaml:5:"},
	} {
		d, err := Parse(Text{"a.yaml", []byte(c.text)}, Text{})
		if err == nil {
			_, err = rules.Compile([]*rules.Document{d}, rules.Options{})
		}
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n")):
			t.Errorf("%s: %v\nwant %s", c.name, err, c.want)
		}
	}
}

// TestLongChain: schemas that stand in each other by the thousand are read in the time that their text takes. What takes the
// square of it does not end before the test's own limit.
func TestLongChain(t *testing.T) {
	const links = 40_000
	var b strings.Builder
	for i := range links {
		fmt.Fprintf(&b, "A%d: {allOf: [{$ref: '#/components/schemas/A%d'}], additionalProperties: {$ref: '#/components/schemas/A%d'}},\n", i, i+1, i+1)
	}
	fmt.Fprintf(&b, "A%d: {NOBODY}", links)
	done := make(chan error, 1)
	go func() {
		_, err := Parse(Text{"a.yaml", []byte(bodies(b.String(), "GET /a", "{properties: {full_name: {NOBODY}}}"))}, Text{})
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("no end")
	}
}
