package dashboards

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
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

// TestPanelsFillTheirLines: Grafana moves panels up into what is empty above them, so a gap below a low panel would tear the next line
// apart.
func TestPanelsFillTheirLines(t *testing.T) {
	type line struct{ width, height int }
	lines := map[int]line{}
	for _, p := range whole().Panels {
		l := lines[p.GridPos.Y]
		if l.height != 0 && l.height != p.GridPos.H {
			t.Errorf("%q is %d high, and its neighbour %d", p.Title, p.GridPos.H, l.height)
		}
		lines[p.GridPos.Y] = line{l.width + p.GridPos.W, p.GridPos.H}
	}
	for y, l := range lines {
		if l.width != columns {
			t.Errorf("the line at %d is %d wide", y, l.width)
		}
	}
}

// TestReferences: what queries and panels name with a $ is there to be chosen, or Grafana's own.
func TestReferences(t *testing.T) {
	d := whole()
	known := []string{"__rate_interval", "__range"}
	for _, v := range d.Templating.List {
		known = append(known, v.Name)
	}
	names := regexp.MustCompile(`\$\{?(\w+)`)
	asks := func(who, text string) {
		for _, name := range names.FindAllStringSubmatch(text, -1) {
			if !slices.Contains(known, name[1]) {
				t.Errorf("%s names $%s, which nobody can choose", who, name[1])
			}
		}
	}
	for _, v := range d.Templating.List {
		asks(v.Name, v.Query)
		if (v.Type == "query") != (v.Datasource != nil) {
			t.Errorf("the variable %s has the data source %v", v.Name, v.Datasource)
		}
	}
	ids := map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("the id of %q is another panel's, too", p.Title)
		}
		ids[p.ID] = true
		if p.Type == "row" {
			continue
		}
		if p.Datasource == nil || p.Datasource.UID != "${datasource}" || p.Datasource.Type != "prometheus" {
			t.Errorf("%q asks %v", p.Title, p.Datasource)
		}
		for _, q := range p.Targets {
			asks(p.Title, q.Expr)
			if q.Instant == q.Range {
				t.Errorf("%q asks neither for now nor for a time, or for both", p.Title)
			}
		}
	}
	asks("a data source", prometheus.UID)
}

// units are the ids of Grafana's that are used here. Of another one it shows the id behind each number.
var units = []string{"short", "percentunit", "reqps", "cps", "cpm", "s", "bytes", "Bps"}

// TestPanelsAsGrafanaReads: units and kinds are Grafana's, thresholds begin at the least and rise, and a table's columns are labels of
// what is asked.
func TestPanelsAsGrafanaReads(t *testing.T) {
	for _, p := range whole().Panels {
		if p.Type == "row" {
			continue
		}
		if !slices.Contains([]string{"timeseries", "stat", "table", "bargauge", "state-timeline"}, p.Type) {
			t.Errorf("%q is a %s", p.Title, p.Type)
		}
		f := p.FieldConfig.Defaults
		if !slices.Contains(units, f.Unit) {
			t.Errorf("%q counts in %s", p.Title, f.Unit)
		}
		for i, s := range f.Thresholds.Steps {
			if (s.Value == nil) != (i == 0) || i > 1 && *s.Value <= *f.Thresholds.Steps[i-1].Value {
				t.Errorf("the thresholds of %q do not rise from the least", p.Title)
			}
		}
		for _, made := range p.Transformations {
			for _, field := range []string{"rowField", "columnField"} {
				if label, ok := made.Options[field].(string); ok && !strings.Contains(p.Targets[0].Expr, label) {
					t.Errorf("%q has no label %s to make its columns of", p.Title, label)
				}
			}
		}
		if p.Type == "table" && (len(p.Targets) != 1 || p.Targets[0].Format != "table") {
			t.Errorf("%q has no single column Value", p.Title)
		}
	}
}
