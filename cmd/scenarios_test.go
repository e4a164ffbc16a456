package cmd

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-minimize/minimize/rules/packs"
)

// packOf are the platforms' packs, by the first letters of their scenarios' ids.
var packOf = map[string]string{"B1": "bags", "C0": "codropshipping", "E4": "ecp", "K2": "kangaroo-mall", "M3": "mori"}

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

// TestScenariosComplete holds the fixtures against the scenarios that they were written from: each is there, with the same
// body in and out, or with a note that says why another one comes out.
func TestScenariosComplete(t *testing.T) {
	data, err := os.ReadFile("../../shared/promises/scenarios.json")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the scenarios of the five policies are not beside the checkout")
	}
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Scenarios []scenario }
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
	for _, s := range doc.Scenarios {
		platform, _, _ := strings.Cut(s.ID, "-")
		if _, ok := packs.Read(packOf[platform]); ok {
			s.check(t, fixtures[s.ID])
		}
	}
	if len(doc.Scenarios) != 136 {
		t.Errorf("%d scenarios, want 136", len(doc.Scenarios))
	}
}

// scenario is one of the scenarios that the fixtures were written from.
type scenario struct {
	ID, Decision string
	Block        string // the status and the sample's word for it
	In, Out      json.RawMessage
}

func (s *scenario) check(t *testing.T, f *fixture) {
	t.Helper()
	if f == nil {
		t.Errorf("%s is no fixture", s.ID)
		return
	}
	if f.mediaType == "" { // rules that do not load
		return
	}
	if s.In != nil && !sameJSON(t, s.In, f.body) {
		t.Errorf("%s: the fixture's body is another one", s.ID)
	}
	same := (s.Decision == "block") == (f.want == nil)
	switch {
	case same && f.want != nil:
		same = sameJSON(t, sampleToken.ReplaceAll(s.Out, anyToken), token.ReplaceAll([]byte(f.want.String()), anyToken))
	case same:
		same = strings.HasPrefix(s.Block, statusOf(f.Expect.Refused))
	}
	if same != (f.Note == "") {
		t.Errorf("%s: what comes out is the same: %v; the note: %q", s.ID, same, f.Note)
	}
}

// statusOf is what the gateway answers a refusal with.
func statusOf(reason string) string {
	switch reason {
	case "authority", "country", "transfer":
		return "451"
	case "over":
		return "429"
	default:
		return "403"
	}
}

// Tokens differ by their key, so that any is as good as another one.
var (
	sampleToken = regexp.MustCompile(`"hm1_[0-9a-f]{16}"`)
	token       = regexp.MustCompile(`"<pseudonym( \w+)?>"`)
	anyToken    = []byte(`"<pseudonym>"`)
)

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
