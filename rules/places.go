package rules

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
)

// maxPlaces bounds the automaton of one scope: selectors with `**` can multiply each other.
const maxPlaces = 1 << 17

// places tells apart the positions in a document that selectors speak of: a deterministic automaton over steps, built
// once, so that a step costs one look-up however many selectors there are.
type places struct {
	steps  map[string]uint32 // literal steps of any selector, from 1
	states []placeState      // by Place; 0 is nowhere
	root   Place
}

type placeState struct {
	next  map[uint32]Place // by literal step
	other Place            // any other step
	index bool             // some step in next is an array index
	spot  *Spot
}

// stepNode is a node of the trie of all selectors.
type stepNode struct {
	named map[uint32]int
	edges []edge // named, by step, once all selectors are in
	any   int    // 0: none
	deep  int    // 0: none
	loop  bool
	spot  *Spot
}

type placeBuilder struct {
	places *places
	nodes  []stepNode
	merge  func(spots []*Spot) *Spot
	ids    map[string]Place
	sets   [][]int

	// Reused, since most of what is built is known already.
	others, reached []int
	edges           []edge
	key             []byte
}

// edge leads to a node by a literal step.
type edge struct {
	step uint32
	to   int
}

func sorted(named map[uint32]int) []edge {
	edges := make([]edge, 0, len(named))
	for step, to := range named {
		edges = append(edges, edge{step, to})
	}
	slices.SortFunc(edges, func(x, y edge) int { return cmp.Compare(x.step, y.step) })
	return edges
}

func newPlaceBuilder() *placeBuilder {
	return &placeBuilder{
		places: &places{steps: map[string]uint32{}, states: make([]placeState, 1)},
		nodes:  make([]stepNode, 1),
		ids:    map[string]Place{"": 0},
		sets:   make([][]int, 1),
	}
}

// spot returns the spot of a selector, adding it where it is new.
func (b *placeBuilder) spot(s Selector) *Spot {
	at := 0
	for _, step := range s {
		at = b.child(at, step)
	}
	if b.nodes[at].spot == nil {
		b.nodes[at].spot = &Spot{}
	}
	return b.nodes[at].spot
}

func (b *placeBuilder) child(at int, step Step) int {
	node := &b.nodes[at]
	var child *int
	switch step.Kind {
	case StepAny:
		child = &node.any
	case StepDeep:
		child = &node.deep
	default:
		id := b.stepID(step.Name)
		if next, ok := node.named[id]; ok {
			return next
		}
		if node.named == nil {
			node.named = map[uint32]int{}
		}
		node.named[id] = len(b.nodes)
		b.nodes = append(b.nodes, stepNode{})
		return len(b.nodes) - 1
	}
	if *child == 0 {
		*child = len(b.nodes)
		b.nodes = append(b.nodes, stepNode{loop: step.Kind == StepDeep})
		return len(b.nodes) - 1
	}
	return *child
}

func (b *placeBuilder) stepID(name string) uint32 {
	id, ok := b.places.steps[name]
	if !ok {
		id = uint32(len(b.places.steps) + 1)
		b.places.steps[name] = id
	}
	return id
}

// build makes the automaton by subset construction. merge makes one spot of those of all selectors that meet in a place.
func (b *placeBuilder) build(merge func([]*Spot) *Spot) (*places, error) {
	b.merge = merge
	p := b.places
	p.root = b.state([]int{0})
	for at := 1; at < len(p.states); at++ {
		if len(p.states) > maxPlaces {
			return nil, fmt.Errorf("the selectors with `**` tell more than %d places apart: write fewer of them, or name more steps", maxPlaces)
		}
		b.connect(Place(at))
	}
	for name, id := range p.steps {
		if _, err := strconv.ParseUint(name, 10, 31); err != nil {
			continue
		}
		for i := range p.states {
			if _, ok := p.states[i].next[id]; ok {
				p.states[i].index = true
			}
		}
	}
	return p, nil
}

// state returns the place that stands for a set of nodes.
func (b *placeBuilder) state(nodes []int) Place {
	for i := 0; i < len(nodes); i++ { // a `**` also matches no step at all
		if deep := b.nodes[nodes[i]].deep; deep != 0 {
			nodes = append(nodes, deep)
		}
	}
	slices.Sort(nodes)
	nodes = slices.Compact(nodes)
	b.reached, b.key = nodes, b.key[:0]
	for _, n := range nodes {
		b.key = binary.BigEndian.AppendUint32(b.key, uint32(n))
	}
	if place, ok := b.ids[string(b.key)]; ok {
		return place
	}
	nodes = slices.Clone(nodes)
	place := Place(len(b.sets))
	b.ids[string(b.key)] = place
	b.sets = append(b.sets, nodes)
	b.places.states = append(b.places.states, placeState{spot: b.spotOf(nodes)})
	return place
}

func (b *placeBuilder) spotOf(nodes []int) *Spot {
	var spots []*Spot
	for _, n := range nodes {
		if s := b.nodes[n].spot; s != nil {
			spots = append(spots, s)
		}
	}
	if len(spots) == 0 {
		return nil
	}
	return b.merge(spots)
}

func (b *placeBuilder) connect(at Place) {
	b.others, b.edges = b.others[:0], b.edges[:0]
	for _, n := range b.sets[at] {
		node := &b.nodes[n]
		if node.any != 0 {
			b.others = append(b.others, node.any)
		}
		if node.loop {
			b.others = append(b.others, n)
		}
		if len(node.edges) < len(node.named) {
			node.edges = sorted(node.named)
		}
		b.edges = append(b.edges, node.edges...)
	}
	slices.SortFunc(b.edges, func(x, y edge) int { return cmp.Compare(x.step, y.step) })
	var next map[uint32]Place
	for i := 0; i < len(b.edges); {
		step := b.edges[i].step
		nodes := append(b.reached[:0], b.others...)
		for ; i < len(b.edges) && b.edges[i].step == step; i++ {
			nodes = append(nodes, b.edges[i].to)
		}
		if next == nil {
			next = make(map[uint32]Place, len(b.edges))
		}
		next[step] = b.state(nodes)
	}
	other := b.state(append(b.reached[:0], b.others...))
	b.places.states[at].next, b.places.states[at].other = next, other
}

func (p *places) member(at Place, step uint32) Place {
	state := &p.states[at]
	if step != 0 && state.next != nil {
		if next, ok := state.next[step]; ok {
			return next
		}
	}
	return state.other
}

func (p *places) element(at Place, index int) Place {
	state := &p.states[at]
	if state.index {
		if next, ok := state.next[p.steps[strconv.Itoa(index)]]; ok {
			return next
		}
	}
	return state.other
}
