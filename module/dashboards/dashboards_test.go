package dashboards

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write minimize.json anew")

// TestDashboard holds minimize.json against what the tables make.
func TestDashboard(t *testing.T) {
	var made bytes.Buffer
	e := json.NewEncoder(&made)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(whole()); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("minimize.json", made.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(made.Bytes(), Dashboard) {
		t.Error("minimize.json is not what the tables make: run go test ./module/dashboards -update")
	}
}

// TestPanels wants of each panel what a reader of a dashboard needs, and a place of its own.
func TestPanels(t *testing.T) {
	taken := map[[2]int]string{}
	for _, p := range whole().Panels {
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= columns {
					t.Errorf("%q lies on %q, or outside", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("%q has no description or asks nothing", p.Title)
		}
	}
}
