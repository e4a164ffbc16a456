package openapi

import (
	"strings"
	"testing"
)

// TestErrors holds what is refused, and where it says that it is wrong.
func TestErrors(t *testing.T) {
	const field = "openapi: 3.1.0\npaths:\n  /a:\n    get:\n      responses:\n        default:\n          content:\n            application/json:\n" +
		"              schema:\n                properties:\n                  a:\n                    x-data-classification: "
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"no annotation", "openapi: 3.1.0\npaths: {}\n", []string{"api.yaml:1:1: no field that an operation reads or answers with is annotated"}},
		{"Swagger 2", "swagger: \"2.0\"\npaths: {}\n", []string{"api.yaml:1:1: this reads OpenAPI 3"}},
		{"no YAML", "openapi: [\n", []string{"readable neither as YAML nor as JSON"}},
		{"a list", "- openapi: 3\n", []string{"api.yaml:1:1: want an OpenAPI document as key: value pairs"}},
		{"no category", field + "{masking: {strategy: full}}\n", []string{"api.yaml:12:44: x-data-classification needs a category: PII, financial,"}},
		{"an unknown word", field + "{category: Personal, masking: {strategy: full}}\n", []string{"api.yaml:12:55: this is no category"}},
		{"several errors", field + "{category: PII, sensitivity: high, masking: {strategy: blur}, maskng: 1}\n",
			[]string{"api.yaml:12:73: this is no sensitivity", "api.yaml:12:99: this is no strategy", "api.yaml:12:106: x-data-classification has category"}},
		{"a keep", field + "{category: PII, masking: {strategy: partial, keep: 4}}\n", []string{"api.yaml:12:95: `keep` is how much"}},
		{"no strategy", field + "{category: PII, masking: {keep: last-4}}\n", []string{"want masking with a strategy"}},
		{"a text", field + "PII\n", []string{"api.yaml:12:44: want x-data-classification as key: value pairs"}},
		{"one's own category with more", field + "{category: loyalty.score, sensitivity: public}\n", []string{"is declared in a rule document"}},
		{"a broken $ref", field + "{category: PII}\n                  b: {$ref: '#/components/schemas/B'}\n", []string{"api.yaml:13:29: nothing stands where this $ref leads"}},
		{"a $ref to a file", field + "{category: PII}\n                  b: {$ref: '../../etc/passwd'}\n", []string{"api.yaml:13:29: this $ref leads into another file"}},
		{"an alias", "openapi: 3.1.0\nx-a: &a {b: 1}\nx-b: *a\n", []string{"api.yaml:3:6: aliases of YAML are not read"}},
		{"nowhere", field + "{category: PII}\n              x-sensitive-data: {mask: full}\n", []string{"api.yaml:13:15: an annotation belongs to a schema"}},
		{"x-sensitive-data", "openapi: 3.1.0\ncomponents: {schemas: {A: {x-sensitive-data: {mask: blur}}}}\n", []string{"api.yaml:2:46: want x-sensitive-data with a mask"}},
		{"beside a map", field + "{category: thing}\n                  b: {}\n                additionalProperties: {x-sensitive-data: {mask: full}}\n",
			[]string{"api.yaml:13:19: this member stands beside annotated ones without a name"}},
		{"a path", "openapi: 3.1.0\npaths:\n  /a*b:\n    get: {}\n", []string{"api.yaml:3:3: a star is a whole step of a path"}},
	} {
		_, err := Parse(Text{"api.yaml", []byte(c.text)}, Text{})
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v\nwant %s", c.name, err, want)
			}
		}
		if n := strings.Count(err.Error(), "\n") + 1; n != len(c.want) {
			t.Errorf("%s: %d errors: %v", c.name, n, err)
		}
	}
}

// TestOverlayErrors holds what is refused of an overlay.
func TestOverlayErrors(t *testing.T) {
	const head = "overlay: 1.0.0\nextends: api.yaml\nactions:\n"
	const api = "openapi: 3.1.0\npaths: {}\ncomponents: {schemas: {A: {type: object}}}\n"
	for _, c := range []struct{ name, text, extended, want string }{
		{"nothing found", head + "  - {target: $.components.schemas.B, update: {type: string}}\n", api, "over.yaml:4:14: this target finds nothing in api.yaml"},
		{"no path", head + "  - {target: components.schemas, update: {type: string}}\n", api, "over.yaml:4:14: this is no target"},
		{"a script", head + "  - {target: '$..a[?(@.b > 1)]', update: {type: string}}\n", api, "over.yaml:4:14: this is no target"},
		{"remove", head + "  - {target: $.paths, remove: true}\n", api, "over.yaml:4:5: an action here has a target"},
		{"another kind", head + "  - {target: $.paths, update: [1]}\n", api, "over.yaml:4:14: this target finds what is not of the update's kind"},
		{"no actions", "overlay: 1.0.0\nextends: api.yaml\n", api, "over.yaml:1:1: an overlay has actions"},
		{"an overlay of an overlay", head + "  - {target: $, update: {a: 1}}\n", "overlay: 1.0.0\nextends: x\n", "api.yaml:1:1: an overlay extends an OpenAPI document"},
		{"its error", head + "  - {target: $.components.schemas.A, update: {x-data-classification: {category: PIII}}}\n", api, "over.yaml:4:81: this is no category"},
		{"the document's error", head + "  - {target: $.components.schemas.A, update: {x-data-classification: {category: PII}}}\n", "openapi: 2\ncomponents: {schemas: {A: {}}}\n",
			"api.yaml:1:1: this reads OpenAPI 3"},
	} {
		_, err := Parse(Text{"over.yaml", []byte(c.text)}, Text{"api.yaml", []byte(c.extended)})
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v\nwant %s", c.name, err, c.want)
		}
	}
}

// TestExtends holds which file an overlay may name: what an operator did not put beside it is not read.
func TestExtends(t *testing.T) {
	for extends, ok := range map[string]bool{
		"api.yaml": true, "vendor/api.yaml": true, "../api.yaml": false, "/etc/passwd": false,
		"https://example.com/api.yaml": false, "vendor/../../api.yaml": false, "\"\"": false,
	} {
		path, err := Extends(Text{"over.yaml", []byte("overlay: 1.0.0\nextends: " + extends + "\n")})
		if (err == nil) != ok || ok && path != extends {
			t.Errorf("%s: %q, %v", extends, path, err)
		}
	}
	if path, err := Extends(Text{"a.yaml", []byte("openapi: 3.1.0\n")}); path != "" || err != nil {
		t.Errorf("a document extends %q, %v", path, err)
	}
}

// TestIs tells what is read here from a rule document.
func TestIs(t *testing.T) {
	for text, want := range map[string]bool{
		"openapi: 3.1.0\n": true, "# a\n\"openapi\" : 3.1.0": true, "overlay: 1.0.0\n": true, `{"info": {"a": [1]}, "openapi": "3.0.0"}`: true,
		"minimize: 1\nfields:\n  - {key: openapi, is: thing}\n": false, "minimize: 1\n# openapi\n": false, `{"minimize": 1, "roles": ["openapi"]}`: false, "": false, "{": false,
		`{"a": "openapi"`: false,
	} {
		if Is([]byte(text)) != want {
			t.Errorf("%q: %t", text, !want)
		}
	}
}

// FuzzParse holds that no text makes it panic or run for long.
func FuzzParse(f *testing.F) {
	f.Add(read(f, "testdata/shop.yaml"), []byte{})
	f.Add(read(f, "testdata/overlay.yaml"), read(f, "testdata/vendor/shop.json"))
	f.Add([]byte("overlay: 1.0.0\nextends: a\nactions: [{target: '$..*', update: {a: 1}}]\n"), []byte("openapi: 3.1.0\npaths: {}\n"))
	f.Fuzz(func(t *testing.T, text, extended []byte) {
		d, err := Parse(Text{"a.yaml", text}, Text{"b.yaml", extended})
		if (d == nil) != (err != nil) {
			t.Errorf("%v, %v", d, err)
		}
	})
}
