package rules

import (
	"crypto/sha256"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Parse reads one rule document and checks its form. All errors come at once, as Errors. What only several documents
// together can say, such as an unknown role, is Compile's to check.
func Parse(file string, data []byte) (*Document, error) {
	p := &parser{file: file}
	d := &Document{Name: DocumentName(file), Pos: Pos{File: file, Line: 1, Column: 1}, Sum: sha256.Sum256(data)}
	if root := p.load(data); root != nil {
		d.Pos = p.at(root)
		p.document(root, d)
		d.Places = p.places
	}
	if err := p.errs.Err(); err != nil {
		return nil, err
	}
	return d, nil
}

// DocumentName is the file's name without directory and extensions: shop.rules.yaml is the document shop. That of a pack
// is the pack's.
func DocumentName(file string) string {
	base := strings.TrimPrefix(filepath.Base(file), "pack:")
	if name, _, _ := strings.Cut(base, "."); name != "" {
		return name
	}
	return base
}

func (p *parser) document(n *yaml.Node, d *Document) {
	all := p.data(d)
	maps.Copy(all, keys{
		"minimize":   p.version,
		"home":       set(&d.Home, p.home),
		"zones":      entries(p, &d.Zones, p.zone),
		"policy":     set(&d.Policy, p.positive),
		"candidate":  set(&d.Candidate, p.boolean),
		"roles":      list(p, &d.Roles, p.word),
		"purposes":   list(p, &d.Purposes, p.word),
		"gpc":        list(p, &d.GPC, p.word),
		"categories": entries(p, &d.Categories, p.categoryRule),
		"recipients": entries(p, &d.Recipients, p.recipient),
		"allow":      sequence(p, &d.Allow, p.allow),
		"limit":      sequence(p, &d.Limit, p.limit),
		"routes": sequence(p, &d.Routes, func(n *yaml.Node) *Document {
			route := &Document{Name: d.Name, Pos: p.at(n)}
			p.mapping(n, "a route", p.data(route), "operations")
			return route
		}),
	})
	p.mapping(n, "a rule document", all, "minimize")
	for _, route := range d.Routes {
		if route.Values == nil {
			route.Values = d.Values
		}
	}
}

// data are the keys of what is in the data, which differs by route.
func (p *parser) data(d *Document) keys {
	return keys{
		"operations": list(p, &d.Operations, p.operation),
		"records":    p.records(&d.Records),
		"fields":     sequence(p, &d.Fields, p.field),
		"values":     p.values(&d.Values),
		"undeclared": set(&d.Undeclared, p.undeclared),
		"signed":     list(p, &d.Signed, p.selector),
	}
}

// version reads `minimize: 1`. It stands in every document, so that a later form of the language can be told apart.
func (p *parser) version(n *yaml.Node) {
	if i, ok := p.integer(n); ok && i != 1 {
		p.fail(n, "this reads documents of `minimize: 1` only; a newer one needs a newer gateway")
	}
}

// values reads the detectors for what nobody declared. An empty list says none, which is not the same as saying nothing.
func (p *parser) values(dst *[]Word) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
			*dst = []Word{}
			return
		}
		list(p, dst, p.word)(n)
	}
}

func (p *parser) undeclared(n *yaml.Node) string {
	return p.oneOf(n, "what happens to undeclared data", "keep", "strip")
}

// categoryRule reads an entry of `categories`.
func (p *parser) categoryRule(name, n *yaml.Node) CategoryRule {
	r := CategoryRule{Pos: p.at(name), Name: p.category(name)}
	if _, err := ParseGrade(name.Value); err == nil || r.Name == None {
		p.fail(name, "`%s` means something else in rules; name the category by its kind of data", name.Value)
	}
	p.mapping(n, "a category", keys{
		"grade": set(&r.Grade, p.grade),
		"mask":  set(&r.Mask, p.mask),
		"blank": set(&r.Blank, p.blank),
		"text":  set(&r.Text, p.boolean),
	}, "grade")
	return r
}

func (p *parser) grade(n *yaml.Node) Grade {
	g, _ := ParseGrade(p.oneOf(n, "a grade", gradeNames[:]...))
	return g
}

func (p *parser) blank(n *yaml.Node) string {
	return p.oneOf(n, "what blank leaves of a text", "uuid")
}

// records reads `records`, an entry of which may stand for several places.
func (p *parser) records(dst *[]Record) func(*yaml.Node) {
	return func(n *yaml.Node) {
		var entries [][]Record
		sequence(p, &entries, p.record)(n)
		*dst = append(*dst, slices.Concat(entries...)...)
	}
}

// record reads an entry of `records`: one record for each of its places.
func (p *parser) record(n *yaml.Node) (places []Record) {
	var at []Selector
	r := Record{Pos: p.at(n)}
	p.mapping(n, "a record", keys{
		"at":      list(p, &at, p.place),
		"subject": list(p, &r.Subject, p.pointer),
		"country": list(p, &r.Country, p.pointer),
		"born":    list(p, &r.Born, p.pointer),
		"created": list(p, &r.Created, p.pointer),
		"minor":   set(&r.Minor, p.boolean),
		"retain":  set(&r.Retain, p.retain),
	}, "at")
	if r.Retain != "" && r.Created == nil {
		p.fail(n, "`retain` counts from `created`; say where the record holds that time")
	}
	for _, r.At = range at {
		places = append(places, r)
	}
	return places
}

// field reads an entry of `fields`.
func (p *parser) field(n *yaml.Node) Field {
	f := Field{Pos: p.at(n)}
	p.mapping(n, "a field", keys{
		"at":    set(&f.At, p.place),
		"key":   list(p, &f.Keys, p.key),
		"in":    list(p, &f.In, p.key),
		"words": list(p, &f.Words, p.text),
		"is":    set(&f.Is, p.category),
		"least": set(&f.Least, p.least),
	}, "is")
	if n.Kind != yaml.MappingNode {
		return f
	}
	if given := has(n, "at") + has(n, "key") + has(n, "words"); given != 1 {
		p.fail(n, "a field has exactly one of `at` (a selector), `key` (names, at any depth) and `words` (in a text)")
	}
	if has(n, "in") > has(n, "key") {
		p.fail(n, "`in` says inside which names a `key` counts; it needs a `key`")
	}
	return f
}

func (p *parser) least(n *yaml.Node) int64 { return int64(p.positive(n)) }
