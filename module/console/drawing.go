package console

import (
	"cmp"
	"fmt"
	"slices"
)

// Drawing is a flow diagram of three columns: what went, to whom, where. Numbers are pixels.
type Drawing struct {
	Width, Height int
	Nodes         []Node
	Ribbons       []Ribbon
}

// Node is a name in one of the columns.
type Node struct {
	Name    string
	Count   int64
	Where   string
	X, Y, H float64
	TextX   float64
	TextY   float64
	Left    bool // its text stands left of it
	column  int
	in, out float64 // how much of its height ribbons have taken
}

// Ribbon is a flow between two columns.
type Ribbon struct {
	Path  string
	Where string
	Flow  Flow
}

const (
	drawingWidth  = 1000
	drawingHeight = 300 // of the values themselves
	nodeWidth     = 10
	leastNode     = 3
	leastSlot     = 22 // a line of text
	slotGap       = 8
)

var columns = [3]float64{190, 500, 810}

// Draw lays out the flows: a ribbon is as thick as its share, and a name has at least a line.
func Draw(flows []Flow) Drawing {
	total := int64(0)
	for _, f := range flows {
		total += f.Count
	}
	if total == 0 {
		return Drawing{}
	}
	l := layout{scale: drawingHeight / float64(total)}
	for _, f := range flows {
		for column, name := range [3]string{f.From, f.To, f.Country} {
			n := l.node(column, name)
			n.Count += f.Count
			if column > 0 && (n.Where == "" || n.Where == f.Where) {
				n.Where = f.Where
			} else if column > 0 {
				n.Where = "mixed"
			}
		}
	}
	l.place()
	l.connect(flows)
	d := Drawing{Width: drawingWidth, Height: int(l.height), Ribbons: l.ribbons}
	for _, n := range l.nodes {
		d.Nodes = append(d.Nodes, *n)
	}
	return d
}

type layout struct {
	scale   float64
	height  float64
	nodes   []*Node
	ribbons []Ribbon
}

func (l *layout) find(column int, name string) *Node {
	i := slices.IndexFunc(l.nodes, func(n *Node) bool { return n.column == column && n.Name == name })
	if i < 0 {
		return nil
	}
	return l.nodes[i]
}

func (l *layout) node(column int, name string) *Node {
	n := l.find(column, name)
	if n == nil {
		n = &Node{Name: name, column: column, X: columns[column], Left: column == 0}
		l.nodes = append(l.nodes, n)
	}
	return n
}

// place stacks the nodes of each column, the greatest on top, and puts the columns' middles beside each other.
func (l *layout) place() {
	slices.SortStableFunc(l.nodes, func(a, b *Node) int { return cmp.Or(cmp.Compare(a.column, b.column), cmp.Compare(b.Count, a.Count)) })
	var heights [3]float64
	for _, n := range l.nodes {
		n.H = max(float64(n.Count)*l.scale, leastNode)
		slot := max(n.H, leastSlot)
		n.Y = heights[n.column] + (slot-n.H)/2
		heights[n.column] += slot + slotGap
	}
	l.height = max(heights[0], heights[1], heights[2])
	for _, n := range l.nodes {
		n.Y += (l.height - heights[n.column] + slotGap) / 2
		n.TextX, n.TextY = n.X+nodeWidth+8, n.Y+n.H/2
		if n.Left {
			n.TextX = n.X - 8
		}
	}
}

// connect draws each flow from the first column through the second to the third. Where ribbons leave a node they have the
// order of where they go, so that few of them cross.
func (l *layout) connect(flows []Flow) {
	for column := range 2 {
		ordered := slices.Clone(flows)
		ends := func(f Flow) (from, to *Node) {
			names := [3]string{f.From, f.To, f.Country}
			return l.find(column, names[column]), l.find(column+1, names[column+1])
		}
		slices.SortStableFunc(ordered, func(a, b Flow) int {
			fromA, toA := ends(a)
			fromB, toB := ends(b)
			return cmp.Or(cmp.Compare(fromA.Y, fromB.Y), cmp.Compare(toA.Y, toB.Y), CompareFlows(a, b))
		})
		for _, f := range ordered {
			from, to := ends(f)
			l.ribbons = append(l.ribbons, ribbon(from, to, f, float64(f.Count)*l.scale))
		}
	}
}

func ribbon(from, to *Node, f Flow, thick float64) Ribbon {
	x0, x1 := from.X+nodeWidth, to.X
	y0, y1 := from.Y+from.out, to.Y+to.in
	from.out, to.in = from.out+thick, to.in+thick
	drawn := max(thick, 1)
	middle := (x0 + x1) / 2
	path := fmt.Sprintf("M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1fv%.1fC%.1f %.1f %.1f %.1f %.1f %.1fz",
		x0, y0, middle, y0, middle, y1, x1, y1, drawn, middle, y1+drawn, middle, y0+drawn, x0, y0+drawn)
	return Ribbon{Path: path, Where: f.Where, Flow: f}
}

// Abroad reports whether it is a place behind a border.
func (n Node) Abroad() bool { return n.column == 2 && n.Where == "abroad" }

// Text is a node's name, as long as there is space for it.
func (n Node) Text() string {
	const most = 24
	if runes := []rune(n.Name); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return n.Name
}

// HeightWithHead is the height with the columns' heads above it.
func (d Drawing) HeightWithHead() int { return d.Height + 26 }
