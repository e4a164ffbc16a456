package cmd

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// elsewhere lists the response scenarios of the five policies that are no fixtures, each with what it turns on.
var elsewhere = map[string]string{
	"C0-5.2.2/2": "a media type: there is no JSON to judge",
	"K2-1C/1":    "what comes in from a recipient",
	"B1-6.1/1":   "a load error",
	"E4-5a/1":    "a header",
}

func scenarioSuites(t *testing.T) []*suite {
	t.Helper()
	suites, err := loadSuites([]string{"../test/scenarios"})
	if err != nil {
		t.Fatal(err)
	}
	return suites
}

// TestScenarios runs the fixtures of the five policies, as `minimize test test/scenarios` does.
func TestScenarios(t *testing.T) {
	for _, s := range scenarioSuites(t) {
		for _, f := range s.fixtures {
			t.Run(f.Name, func(t *testing.T) {
				for _, d := range s.run(f).Differences {
					t.Errorf("%s:%d %s\nwant %s\ngot  %s", s.file, f.pos.Line, d.At, d.Want, d.Got)
				}
			})
		}
	}
}

// TestScenariosComplete holds the fixtures against the scenarios that they were written from: each is there or listed
// above, with the same body in and out, or with a note that says why another one comes out.
func TestScenariosComplete(t *testing.T) {
	data, err := os.ReadFile("../../shared/promises/scenarios.json")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the scenarios of the five policies are not beside the checkout")
	}
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Scenarios []struct {
			ID, Direction, Decision string
			In, Out                 json.RawMessage
		}
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	fixtures := map[string]*fixture{}
	for _, s := range scenarioSuites(t) {
		for _, f := range s.fixtures {
			id, _, _ := strings.Cut(f.Name, " ")
			fixtures[id] = f
		}
	}
	responses := 0
	for _, s := range doc.Scenarios {
		if s.Direction != "response" {
			continue
		}
		responses++
		f := fixtures[s.ID]
		if (f != nil) == (elsewhere[s.ID] != "") {
			t.Errorf("%s stands among the fixtures or in the list of those elsewhere, one of them", s.ID)
		}
		if f == nil {
			continue
		}
		if !sameJSON(t, s.In, f.body) {
			t.Errorf("%s: the fixture's body is another one", s.ID)
		}
		same := (s.Decision == "block") == (f.want == nil)
		if same && f.want != nil {
			same = sameJSON(t, s.Out, []byte(f.want.String()))
		}
		if same != (f.Note == "") {
			t.Errorf("%s: what comes out is the same: %v; the note: %q", s.ID, same, f.Note)
		}
	}
	if got := len(fixtures) + len(elsewhere); got != responses || responses != 68 {
		t.Errorf("%d fixtures and %d elsewhere for %d response scenarios, want 68", len(fixtures), len(elsewhere), responses)
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	x, err := parseTree(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := parseTree(b)
	if err != nil {
		t.Fatal(err)
	}
	r := &result{}
	(&comparison{result: r, tokens: map[string]string{}}).compare("", x, y)
	return len(r.Differences) == 0
}
