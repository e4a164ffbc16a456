package body

import (
	"encoding/binary"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/detect"
)

// Bounds of what is remembered of names: bodies choose them, so they must not make it grow.
const (
	maxFields     = 4096 // of one rewriter
	maxNodeFields = 1024 // of one node: an object used as a map does not push everything else out
	maxRemembered = 64   // bytes of a name
)

// names is what a scope's rules say of the members met so far, found by the bytes of their names as they stand.
type names struct {
	scope  *rules.Scope
	root   *field
	nodes  map[nodeKey]*node
	fields int
}

// nodeKey tells containers apart as far as rules can: by their place, and by what the name around them means.
type nodeKey struct {
	place   rules.Place
	around  string
	context detect.Context
}

// node is what is known of the inside of containers that no rule tells apart.
type node struct {
	place    rules.Place
	in       *rules.Name // the nearest name around; nil at the top
	first    *field      // the first member of such an object, last time
	fields   map[string]*field
	elements map[rules.Place]*field
}

// field is what the rules say of one value by its place and its name.
type field struct {
	prediction
	next    *field // the member that came after this one, last time
	name    rules.Name
	in      *rules.Name // what its members stand in: its own name, or of an element the one around its array
	place   rules.Place
	spot    *rules.Spot
	label   *rules.Label // by its place, else by its name
	context detect.Context
	data    []rules.CategoryID // the name itself is such data
	calm    bool               // nothing of all this says anything
	node    *node              // its inside, once a container was met there
}

// prediction is a name's bytes from quote to colon, so that the member that came next last time is recognised by three
// comparisons. That is worth a third of the speed.
type prediction struct {
	raw  string
	want [3]uint64
	mask [3]uint64
}

func newNames(scope *rules.Scope) names {
	n := names{scope: scope, nodes: map[nodeKey]*node{}}
	n.root = &field{place: scope.Root()}
	n.root.look(scope, nil)
	return n
}

// look fills in what the scope says of a field whose name and place are known.
func (f *field) look(scope *rules.Scope, label *rules.Label) {
	f.label = label
	if f.place != 0 {
		f.spot = scope.Spot(f.place)
	}
	if f.spot != nil && f.spot.Label != nil {
		f.label = f.spot.Label
	}
	f.calm = f.label == nil && f.spot == nil && len(f.data) == 0
}

// inside returns the node of a container that stands at f.
func (n *names) inside(f *field) *node {
	if f.node == nil {
		key := nodeKey{place: f.place, context: f.context}
		if f.in != nil {
			key.around = f.in.Around()
		}
		f.node = n.nodes[key]
		if f.node == nil {
			f.node = &node{place: f.place, fields: map[string]*field{}, elements: map[rules.Place]*field{}}
			if f.in != nil {
				in := *f.in
				in.Context = f.context
				f.node.in = &in
			}
			n.nodes[key] = f.node
			n.grow()
		}
	}
	return f.node
}

// grow counts what is remembered, and forgets everything when it is too much: bodies with names that never come again
// would otherwise keep those out that do.
func (n *names) grow() {
	if n.fields++; n.fields > maxFields {
		*n = newNames(n.scope)
	}
}

// member returns the field of a member by its name as it stands, without quotes. Names that are data, or too many, are
// not remembered: they get the stray field, which holds until the next one.
func (n *names) member(in *node, raw []byte, escaped bool, stray *field, text *[]byte) *field {
	if f := in.fields[string(raw)]; f != nil {
		return f
	}
	unescaped := raw
	if escaped {
		*text = unescape(emptied(*text), raw)
		unescaped = *text
	}
	n.stranger(in, unescaped, stray)
	if len(stray.data) > 0 || len(raw) > maxRemembered || len(in.fields) >= maxNodeFields {
		return stray
	}
	f := new(field)
	*f = *stray
	f.in = &f.name
	f.predict(raw)
	in.fields[f.raw[1:len(f.raw)-2]] = f
	n.grow()
	return f
}

// stranger makes the stray field that of a name which is not remembered.
func (n *names) stranger(in *node, name []byte, stray *field) {
	*stray = field{name: n.scope.Name(name)}
	stray.in, stray.context, stray.data = &stray.name, stray.name.Context, stray.name.Data
	stray.place = n.scope.Way(in.place, name, &stray.name)
	stray.look(n.scope, n.scope.Key(&stray.name, in.in))
}

// element returns the field of an array's element at a place.
func (n *names) element(in *node, place rules.Place) *field {
	f := in.elements[place]
	if f == nil {
		f = &field{place: place, in: in.in}
		if in.in != nil {
			f.context = in.in.Context
		}
		f.look(n.scope, nil)
		in.elements[place] = f
		n.grow()
	}
	return f
}

func (p *prediction) predict(name []byte) {
	p.raw = `"` + string(name) + `":`
	var raw, mask [24]byte
	for i := range copy(raw[:], p.raw) {
		mask[i] = 0xff
	}
	for i := range p.want {
		p.want[i] = binary.LittleEndian.Uint64(raw[8*i:])
		p.mask[i] = binary.LittleEndian.Uint64(mask[8*i:])
	}
}

// at reports whether b starts with the predicted name.
func (p *prediction) at(b []byte) bool {
	if len(b) < 24 || len(p.raw) > 24 {
		return len(b) >= len(p.raw) && string(b[:len(p.raw)]) == p.raw
	}
	return p.short((*[24]byte)(b))
}

// short is at for a name that is not longer than what is compared.
func (p *prediction) short(b *[24]byte) bool {
	return (binary.LittleEndian.Uint64(b[:8])^p.want[0])&p.mask[0]|
		(binary.LittleEndian.Uint64(b[8:16])^p.want[1])&p.mask[1]|
		(binary.LittleEndian.Uint64(b[16:])^p.want[2])&p.mask[2] == 0
}
