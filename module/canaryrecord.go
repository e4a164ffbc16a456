package minimize

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/detect"
)

// canaryValue is a value of a synthetic record, which is looked for in what comes out.
type canaryValue struct {
	category *rules.CategoryInfo
	selector string       // the rules' word for what says that it is of the category
	steps    []canaryStep // where it stands; nil: in a header
	value    string       // of the category
	json     any          // with the value in it
	marker   string       // that may not be found
	blocks   bool         // where it is, nothing of the message may come out
	header   [2]string    // name and value
}

// canaryStep is a step to a value: a member's name, or the first element of a list.
type canaryStep struct {
	name    string
	element bool
}

// canaryRecord makes the synthetic records of one operation.
type canaryRecord struct {
	rules   *rules.Ruleset
	scope   *rules.Scope
	tables  []*rules.Table // what the rules give to whoever asks without credentials, whatever is known of the record
	headers []string       // that the route lets pass
	token   string         // that no other record's values have
	turn    int
	areas   [][]canaryStep // where names and shapes are planted: nothing declares those places
	values  []*canaryValue
	names   map[string]*rules.Name // that were looked up
}

// neutral is a name that means nothing.
const neutral = "zqv"

// canaryNames is how many of the names that hold for every operation a single operation has.
const canaryNames = 64

func newCanaryRecord(set *rules.Ruleset, o rules.Operation, tables []*rules.Table, headers []string, token string, turn int) *canaryRecord {
	b := &canaryRecord{rules: set, scope: set.AnswerScope(o.Method, o.Path), tables: tables, headers: headers, token: token, turn: turn, names: map[string]*rules.Name{}}
	b.addAreas()
	everywhere := set.Fields("", "/")
	fields := set.Fields(o.Method, o.Path)
	if o.Path != "/" {
		fields = b.thin(fields, everywhere)
	}
	for i, f := range fields {
		if f.Is != rules.None {
			b.addField(f, i+turn)
		}
	}
	for i, d := range detect.Detectors {
		if slices.Contains(b.scope.Detectors(set.ID(rules.Category(d.Category))), d.Name) {
			b.addShape(d, i+turn)
		}
	}
	return b
}

// thin leaves the operation's own fields, and some of those that hold everywhere: the root is asked for all of them.
func (b *canaryRecord) thin(fields, everywhere []*rules.Field) []*rules.Field {
	shared := make(map[*rules.Field]bool, len(everywhere))
	for i, f := range everywhere {
		shared[f] = (i+b.turn)%(1+len(everywhere)/canaryNames) != 0
	}
	return slices.DeleteFunc(fields, func(f *rules.Field) bool { return shared[f] })
}

// addAreas finds where nothing is declared: beside everything else, and in each kind of record.
func (b *canaryRecord) addAreas() {
	b.areas = [][]canaryStep{{{name: neutral}}}
	for _, r := range b.scope.Records() {
		if area := append(b.steps(r.At), canaryStep{name: neutral}); b.undeclared(area) {
			b.areas = append(b.areas, area)
		}
	}
}

// steps are a place that a selector names.
func (b *canaryRecord) steps(at rules.Selector) []canaryStep {
	steps := []canaryStep{}
	for i, s := range at {
		switch {
		case s.Kind == rules.StepAny:
			steps = append(steps, canaryStep{element: true})
		case s.Kind == rules.StepName:
			steps = append(steps, canaryStep{name: s.Name})
		case b.turn%2 == 1 || i == len(at)-1: // any number of steps: one or none
			steps = append(steps, canaryStep{name: neutral})
		}
	}
	return steps
}

// walk goes to a place, and says what is declared on the way and there.
func (b *canaryRecord) walk(steps []canaryStep) (way []*rules.Label, around *rules.Name, signed bool) {
	place := b.scope.Root()
	for _, s := range steps {
		if s.element {
			place = b.scope.Element(place, 0)
		} else {
			around = b.name(s.name)
			place = b.scope.Member(place, around)
		}
		way = append(way, nil)
		if spot := b.scope.Spot(place); place != 0 && spot != nil {
			way[len(way)-1], signed = spot.Label, signed || spot.Signed
		}
	}
	return way, around, signed
}

func (b *canaryRecord) name(name string) *rules.Name {
	if b.names[name] == nil {
		is := b.scope.Name([]byte(name))
		b.names[name] = &is
	}
	return b.names[name]
}

// undeclared reports whether no rule document says anything of a place or of what is around it.
func (b *canaryRecord) undeclared(steps []canaryStep) bool {
	way, _, signed := b.walk(steps)
	return !signed && !slices.ContainsFunc(way, func(l *rules.Label) bool { return l != nil })
}

// addField plants a value for each place, name or word that a field declares, unless another field says otherwise of it.
func (b *canaryRecord) addField(f *rules.Field, i int) {
	switch {
	case f.At != nil:
		steps := b.steps(f.At)
		way, _, signed := b.walk(steps)
		if n := len(way); !signed && (n == 0 || way[n-1] == nil || way[n-1].Field == f) {
			b.add(f.Is, f.At.String(), steps, b.marker())
		}
	case f.Words != nil:
		for k, word := range f.Words {
			marker := word + " " + b.marker()
			b.addUndeclared(f.Is, "words", i+k, neutral, canaryValue{value: marker, json: marker, marker: marker})
		}
	}
	for k, key := range f.Keys {
		b.addKey(f, key, i+k)
	}
}

// addKey plants a value under a name: alone, in a list, in a JSON text or in a URL.
func (b *canaryRecord) addKey(f *rules.Field, key string, i int) {
	area := b.areas[i%len(b.areas)]
	if len(f.In) > 0 {
		area = slices.Concat(area, []canaryStep{{name: f.In[i%len(f.In)]}})
	}
	_, around, _ := b.walk(area)
	if label := b.scope.Key(b.name(key), around); label != nil && label.Field != f || !b.undeclared(append(slices.Clip(area), canaryStep{name: key})) {
		return
	}
	marker, at := b.marker(), canaryStep{name: key}
	v := canaryValue{value: marker, json: marker, marker: marker}
	switch {
	case i%4 == 1:
		v.json = []string{marker}
	case i%4 == 2 && len(f.In) == 0:
		text, _ := json.Marshal(map[string]string{key: marker})
		v.json, at.name = string(text), neutral
	case i%4 == 3 && len(f.In) == 0:
		v.json, at.name = "https://shop.example/?"+url.QueryEscape(key)+"="+marker, neutral
	}
	if at.name == neutral {
		area = append(slices.Clip(area), canaryStep{name: fmt.Sprint(neutral, len(b.values))})
	}
	b.put(f.Is, key, append(slices.Clip(area), at), v)
}

// addShape plants what a detector recognizes: alone, in a sentence, in a list, as a number, in a header.
func (b *canaryRecord) addShape(d detect.Detector, i int) {
	shape, category := canaryShapes[d.Name], rules.Category(d.Category)
	text := shape.text()
	v := canaryValue{value: shape.value, json: text, marker: shape.value}
	if shape.short {
		v.marker = text + " " + b.token
		v.json = v.marker
	}
	forms := []any{v.json, []any{v.json}, fmt.Sprint("as told, ", v.json, " and no more")}
	if shape.isNumber() {
		forms = append(forms, json.Number(shape.value))
	}
	for _, form := range forms {
		v.json = form
		b.addUndeclared(category, d.Name, i, cmp.Or(shape.under, neutral), v)
	}
	if shape.word == "" && shape.under == "" {
		query := neutral + "=" + url.QueryEscape(text)
		headers := [][2]string{{"X-Request-Id", text}, {"Location", "/?" + query}, {"Set-Cookie", query}}
		for _, name := range b.headers {
			headers = append(headers, [2]string{name, text})
		}
		v.header = headers[i%len(headers)]
		v.marker = v.header[1]
		b.put(category, d.Name, nil, v)
	}
}

// addUndeclared plants a value where nothing is declared.
func (b *canaryRecord) addUndeclared(c rules.Category, selector string, i int, name string, v canaryValue) {
	area := b.areas[i%len(b.areas)]
	steps := slices.Concat(area, []canaryStep{{name: fmt.Sprint(neutral, len(b.values))}, {name: name}})
	if b.undeclared(steps) {
		b.put(c, selector, steps, v)
	}
}

// add plants a marker.
func (b *canaryRecord) add(c rules.Category, selector string, steps []canaryStep, marker string) {
	b.put(c, selector, steps, canaryValue{value: marker, json: marker, marker: marker})
}

// put plants a value whose category anonymous may not see in the clear. Others prove nothing.
func (b *canaryRecord) put(c rules.Category, selector string, steps []canaryStep, v canaryValue) {
	id := b.rules.ID(c)
	v.category, v.selector, v.steps = &b.rules.Categories()[id], selector, steps
	for _, table := range b.tables {
		if v.given(table.Decide(id)) {
			return
		}
		v.blocks = v.blocks || table.Decide(id).Action == rules.Block
	}
	b.values = append(b.values, &v)
}

// given reports whether a decision shows the value as it is.
func (v *canaryValue) given(d *rules.Decision) bool {
	switch d.Action {
	case rules.Keep:
		return true
	case rules.Mask: // of a text the mask is what detectors mask in it, and of some values it is all
		return v.category.Text || string(d.Append(nil, []byte(v.value))) == v.value
	}
	return false
}

// marker is a word that stands nowhere else: the record's token, and a number in letters.
func (b *canaryRecord) marker() string {
	word := []byte(b.token)
	for n := len(b.values); len(word) < len(b.token)+4; n /= 20 {
		word = append(word, consonants[n%20])
	}
	return string(word)
}

const consonants = "bcdfghjklmnpqrstvwxz"

// documents puts values together to documents of at most so many bytes. What blocks a message stands apart: it would keep the rest
// from being looked at.
func (b *canaryRecord) documents(most int) (all []canaryDocument) {
	for _, blocks := range []bool{false, true} {
		left := slices.DeleteFunc(slices.Clone(b.values), func(v *canaryValue) bool { return v.blocks != blocks })
		for len(left) > 0 {
			d := canaryDocument{root: new(canaryNode)}
			var next []*canaryValue
			for _, v := range left {
				if !d.take(v, most) {
					next = append(next, v)
				}
			}
			if len(next) == len(left) {
				return all // not even one fits
			}
			all, left = append(all, d), next
		}
	}
	return all
}

// canaryDocument is one answer of the canned upstream.
type canaryDocument struct {
	root   *canaryNode
	values []*canaryValue
	size   int
}

// take plants a value, unless the document is full or something else stands there.
func (d *canaryDocument) take(v *canaryValue, most int) bool {
	leaf, _ := json.Marshal(v.json)
	size := len(leaf)
	for _, s := range v.steps {
		size += len(s.name) + 8
	}
	if d.size+size > most && d.size > 0 || v.steps != nil && !d.root.put(v.steps, leaf) {
		return false
	}
	d.size += size
	d.values = append(d.values, v)
	return true
}

// canaryNode is an object, a list of one element, or a scalar. The zero node is an empty object.
type canaryNode struct {
	members map[string]*canaryNode
	element *canaryNode
	leaf    json.RawMessage
}

func (n *canaryNode) put(steps []canaryStep, leaf json.RawMessage) bool {
	for _, s := range steps {
		if n.leaf != nil || s.element && n.members != nil || !s.element && n.element != nil {
			return false
		}
		switch {
		case s.element && n.element == nil:
			n.element = new(canaryNode)
		case !s.element && n.members == nil:
			n.members = make(map[string]*canaryNode)
		}
		if s.element {
			n = n.element
			continue
		}
		if n.members[s.name] == nil {
			n.members[s.name] = new(canaryNode)
		}
		n = n.members[s.name]
	}
	if n.leaf != nil || n.members != nil || n.element != nil {
		return false
	}
	n.leaf = leaf
	return true
}

// append writes the node as JSON.
func (n *canaryNode) append(dst []byte) []byte {
	switch {
	case n.leaf != nil:
		return append(dst, n.leaf...)
	case n.element != nil:
		return append(n.element.append(append(dst, '[')), ']')
	}
	dst = append(dst, '{')
	for i, name := range slices.Sorted(maps.Keys(n.members)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		quoted, _ := json.Marshal(name)
		dst = n.members[name].append(append(append(dst, quoted...), ':'))
	}
	return append(dst, '}')
}
