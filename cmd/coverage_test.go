package cmd

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const coveredAPI = `openapi: 3.1.0
paths:
  /orders/{id}:
    get:
      parameters: [{name: filter, in: query, schema: {type: string}}, {name: phone, in: query}]
      responses:
        "200":
          content:
            application/json:
              schema:
                properties:
                  ref: {type: [string, "null"]}
                  paid: {type: boolean}
                  state: {type: string, enum: [open, closed]}
                  phone: {type: string}
                  note: {type: string, x-data-classification: {category: none}}
                  extra: {type: object}
                  by_day: {additionalProperties: {properties: {hits: {type: integer}}}}
                  buyer: {x-data-classification: {category: person}, properties: {shoe: {type: string}}}
`

func coverage(t *testing.T, files map[string]string, o coverageOptions, file string) (code int, out, errs string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var outs, errors bytes.Buffer
	code = o.run(&outs, &errors, file)
	return code, outs.String(), errors.String()
}

func TestCoverage(t *testing.T) {
	files := map[string]string{
		"api.yaml":   coveredAPI,
		"rules.yaml": "minimize: 1\nfields:\n  - {key: [ref, filter], is: order.number}\n  - {at: /by_day, is: none}\n",
		"all.yaml":   "minimize: 1\nfields:\n  - {key: [ref, filter, extra, hits], is: order.number}\n",
		"bad.yaml":   "minimize: 1\nfields:\n  - {key: ref}\n",
	}
	for _, c := range []struct {
		name  string
		rules []string
		code  int
		want  []string // pointers in the order of their lines
	}{
		{"alone", nil, exitFound, []string{"filter", "/ref", "/extra", "/by_day/*/hits"}},
		{"with rules", []string{"rules.yaml"}, exitFound, []string{"/extra"}},
		{"all", []string{"all.yaml"}, exitOK, nil},
		{"broken rules", []string{"bad.yaml"}, exitBroken, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errs := coverage(t, files, coverageOptions{rules: c.rules, json: true}, "api.yaml")
			if code != c.code {
				t.Fatalf("exit code %d, want %d: %s", code, c.code, errs)
			}
			if code == exitBroken {
				if !strings.HasPrefix(errs, "bad.yaml:3:5: a field needs `is`") {
					t.Error(errs)
				}
				return
			}
			var r coverageResult
			if err := json.Unmarshal([]byte(out), &r); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range r.Uncovered {
				got = append(got, f.Pointer)
				if f.Operation != "GET /orders/*" || f.File != "api.yaml" || !strings.Contains(strings.Split(coveredAPI, "\n")[f.Line-1], filepath.Base(f.Pointer)) {
					t.Errorf("%+v", f)
				}
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("uncovered are %q, want %q", got, c.want)
			}
			if r.Fields != 8 {
				t.Errorf("%d fields", r.Fields)
			}
		})
	}
}

// TestCoverageReadsWhatIsNoDocument holds what a person sees of a mistake.
func TestCoverageReadsWhatIsNoDocument(t *testing.T) {
	for file, want := range map[string]string{
		"none.yaml": "no such file", "rules.yaml": "has neither `openapi` nor `overlay`", "old.yaml": "old.yaml:1:1: this reads OpenAPI 3", "over.yaml": "no such file",
	} {
		code, _, errs := coverage(t, map[string]string{
			"rules.yaml": "minimize: 1\n", "old.yaml": "swagger: '2.0'\n", "over.yaml": "overlay: 1.0.0\nextends: gone.yaml\n",
		}, coverageOptions{}, file)
		if code != exitBroken || !strings.Contains(errs, want) {
			t.Errorf("%s: %d, %s", file, code, errs)
		}
	}
}

// TestDrift compares samples with the document. No value and no name that is data leaves the command.
func TestDrift(t *testing.T) {
	const har = `{"log": {"entries": [
		{"request": {"method": "GET", "url": "https://a.example/orders/7?x=1"}, "response": {"content": {"text": "{\"ref\": \"1\", \"tracking\": {\"lat\": 1}}"}}},
		{"request": {"method": "GET", "url": "https://a.example/orders/8"}, "response": {"content": {"encoding": "base64", "text": "eyJ0cmFja2luZyI6MX0="}}},
		{"request": {"method": "GET", "url": "https://a.example/logo.png"}, "response": {"content": {"text": "PNG"}}}
	]}}`
	const lines = `{"operation": "GET /orders/9", "body": {"by_day": {"2026-11-22": {"hits": 3, "misses": 1}}, "13817640235": 1, "li.na@example.com": 2, "extra": {"a": 1}}}

{"operation": "GET /customers/9", "body": {"name": "Li Na"}}
{"operation": "GET /orders/9?a=b", "request": {"q": 1}, "body": {"ref": null, "buyer": {"shoe": "43", "hat": "57"}}}
`
	files := map[string]string{"api.yaml": coveredAPI, "samples/a.har": har, "samples/deep/b.ndjson": lines, "samples/readme.txt": "nothing"}
	code, out, errs := coverage(t, files, coverageOptions{samples: []string{"samples"}, json: true}, "api.yaml")
	var r coverageResult
	if err := json.Unmarshal([]byte(out), &r); code != exitFound || err != nil {
		t.Fatalf("%d, %v: %s", code, err, errs)
	}
	want := []driftedMember{
		{"GET /orders/*", "response", "/*", 1},
		{"GET /orders/*", "response", "/buyer/hat", 1},
		{"GET /orders/*", "response", "/by_day/*/misses", 1},
		{"GET /orders/*", "response", "/tracking", 2},
	}
	if !reflect.DeepEqual(r.Drift, want) || r.Strange != 1 {
		t.Errorf("%+v", r)
	}
	_, text, _ := coverage(t, files, coverageOptions{samples: []string{"samples"}}, "api.yaml")
	for _, secret := range []string{"13817640235", "li.na", "57", "Li Na", "2026-11-22"} {
		if strings.Contains(text+out, secret) {
			t.Errorf("the output holds %q:\n%s", secret, text)
		}
	}
	for name, text := range map[string]string{"a.har": "{", "b.ndjson": "{\"operation\": 1}\n", "c.ndjson": "{\"operation\": \"orders\"}\n", "d.txt": ""} {
		code, _, errs := coverage(t, map[string]string{"api.yaml": coveredAPI, name: text}, coverageOptions{samples: []string{name}}, "api.yaml")
		if code != exitBroken || !strings.Contains(errs, name) {
			t.Errorf("%s: %d, %s", name, code, errs)
		}
	}
}
