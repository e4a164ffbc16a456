package console

import (
	"fmt"
	"math"
	"testing"
)

// TestDraw: however many flows there are, every name has its line, and a node is as high as what flows through it.
func TestDraw(t *testing.T) {
	for _, test := range []struct{ from, to, countries int }{{1, 1, 1}, {2, 1, 2}, {5, 4, 3}, {20, 60, 2}, {60, 1, 1}} {
		var flows []Flow
		for i := range max(test.from, test.to) {
			flows = append(flows, Flow{
				From: fmt.Sprint("c", i%test.from), To: fmt.Sprint("r", i%test.to), Country: fmt.Sprint("C", i%test.countries),
				Where: "home", Count: int64(1 + i*i*i),
			})
		}
		d := Draw(flows)
		if len(d.Nodes) != test.from+test.to+test.countries || len(d.Ribbons) != 2*len(flows) {
			t.Fatalf("%v: %d nodes, %d ribbons", test, len(d.Nodes), len(d.Ribbons))
		}
		for i, n := range d.Nodes {
			if n.Y < 0 || n.Y+n.H > float64(d.Height) {
				t.Errorf("%v: %s is outside of the drawing", test, n.Name)
			}
			if thick := math.Max(n.in, n.out); thick > n.H+0.01 {
				t.Errorf("%v: ribbons of %.1f leave %s, which is %.1f high", test, thick, n.Name, n.H)
			}
			if i > 0 && d.Nodes[i-1].column == n.column && n.TextY-d.Nodes[i-1].TextY < leastSlot {
				t.Errorf("%v: the names %s and %s overlap", test, d.Nodes[i-1].Name, n.Name)
			}
		}
	}
	if d := Draw(nil); d.Nodes != nil || d.Ribbons != nil {
		t.Errorf("nothing is drawn as %v", d)
	}
}

// TestDrawWhere: a name is abroad where all of its flows are, and neither where only some are.
func TestDrawWhere(t *testing.T) {
	d := Draw([]Flow{
		{From: "device", To: "ads", Country: "US", Where: "abroad", Count: 3},
		{From: "device", To: "callers", Country: "US", Where: "abroad", Count: 1},
		{From: "order", To: "callers", Country: "CN", Where: "home", Count: 9},
	})
	for _, n := range d.Nodes {
		if want := map[string]string{"ads": "abroad", "callers": "mixed", "US": "abroad", "CN": "home"}[n.Name]; n.Where != want {
			t.Errorf("%s is %q, want %q", n.Name, n.Where, want)
		}
	}
}

func TestText(t *testing.T) {
	for name, want := range map[string]string{
		"ads-partner": "ads-partner",
		"人人人人人人人人人人人人人人人人人人人人人人人人":        "人人人人人人人人人人人人人人人人人人人人人人人人",
		"a-very-long-name-of-a-recipient": "a-very-long-name-of-a-r…",
	} {
		if got := (Node{Name: name}).Text(); got != want {
			t.Errorf("%s is shown as %s", name, got)
		}
	}
}
