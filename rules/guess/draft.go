package guess

import (
	"slices"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/detect"
)

// Draft is what samples say about the data of an API.
type Draft struct {
	Documents int      `json:"documents"`
	Values    int      `json:"values"`
	Records   []Record `json:"records"`
	Fields    []Field  `json:"fields"`
	Known     []Field  `json:"known"`  // by their names: no line is needed
	Partly    []Field  `json:"partly"` // some values only, which detectors find one by one
	Unsure    []Field  `json:"unsure"` // too few values to tell
}

// Record is a place whose documents say whose data they are.
type Record struct {
	At       string   `json:"at"`
	Subject  string   `json:"subject"`
	Others   []string `json:"others,omitempty"` // that may be it, too
	Hits     int      `json:"hits"`             // documents that have it
	Objects  int      `json:"objects"`          // of so many
	Distinct int      `json:"distinct"`
}

// Field is a place, or a name where places do not count, and what it is.
type Field struct {
	At       string         `json:"at,omitempty"`
	Key      string         `json:"key,omitempty"`
	In       string         `json:"in,omitempty"`
	Inside   string         `json:"inside,omitempty"` // the place of the text that is the document it stands in
	Is       rules.Category `json:"is"`
	Evidence Evidence       `json:"evidence"`
}

// Draft returns what was found. It ends the gathering.
func (g *Guesser) Draft() *Draft {
	d := &Draft{Documents: g.docs, Values: g.values, Records: []Record{}, Fields: []Field{}, Known: []Field{}, Partly: []Field{}, Unsure: []Field{}}
	for _, root := range []*place{g.root, g.params} {
		root.fold()
		root.each(func(p *place) {
			g.positions(p, d)
			g.field(p, d)
		})
	}
	d.Records = append(d.Records, g.records(d)...)
	return d
}

func (g *Guesser) field(p *place, d *Draft) {
	for _, c := range p.data {
		d.Known = append(d.Known, p.fieldOf(g.scope.Rules().Categories()[c].Name, Evidence{By: "names in an object", Values: p.objects}))
	}
	declared := p.declared()
	if p.label != nil {
		info := g.scope.Rules().Categories()[p.label.Category]
		if info.Grade >= rules.Personal && p.stats.values+p.scalars+p.objects > 0 {
			d.Known = append(d.Known, p.fieldOf(info.Name, Evidence{By: p.label.Selector, Values: p.stats.values + p.scalars}))
		}
	}
	if !g.isOpen(declared) || p.stats.values == 0 || slices.ContainsFunc(d.Fields, func(f Field) bool { return f.same(p) }) {
		return
	}
	v := p.stats.judge(declared == nil)
	id := g.scope.Rules().ID(v.category)
	switch {
	case id == 0:
		for _, e := range p.stats.partly() {
			d.Partly = append(d.Partly, p.fieldOf(e.category, e.evidence))
		}
	case g.scope.Rules().Categories()[id].Grade == rules.Open:
	case v.unsure:
		d.Unsure = append(d.Unsure, p.fieldOf(v.category, v.evidence))
	default:
		d.Fields = append(d.Fields, p.fieldOf(v.category, v.evidence))
	}
}

func (f *Field) same(p *place) bool {
	other := p.fieldOf("", Evidence{})
	return f.At == other.At && f.Key == other.Key && f.In == other.In && f.Inside == other.Inside
}

// fieldOf declares a place. In a text or a query only its name counts, and what that stands in.
func (p *place) fieldOf(is rules.Category, e Evidence) Field {
	if !p.named {
		return Field{At: p.selector(nil).String(), Is: is, Evidence: e}
	}
	f := Field{Is: is, Evidence: e}
	root := p.root()
	if root.parent != nil {
		f.Inside = root.parent.selector(nil).String()
	}
	name, at := p.lastName()
	if name == "" && root.parent != nil { // a list in a text has the name of the text
		name, at = root.parent.lastName()
	}
	if f.Key = name; at != nil && at.parent != nil {
		f.In, _ = at.parent.lastName()
	}
	return f
}

// positions finds latitude and longitude among the members of an object.
func (g *Guesser) positions(p *place, d *Draft) {
	var free []*place
	for _, child := range p.children() {
		if child.declared() == nil && child.step.Kind == rules.StepName {
			free = append(free, child)
		}
	}
	for i, a := range free {
		for _, b := range free[i+1:] {
			if arePosition(&a.stats, &b.stats) {
				for _, c := range []*place{a, b} {
					d.Fields = append(d.Fields, c.fieldOf("location.precise", Evidence{"degrees", c.stats.decimals, c.stats.values, len(c.stats.distinct)}))
				}
				return
			}
		}
	}
}

// people are what the members and lists of data subjects are called, the likeliest first; staff and sellers are not meant.
var people = []string{"buyer", "customer", "user", "member", "patient", "student", "pupil", "passenger", "guest", "subscriber", "policyholder",
	"applicant", "borrower", "tenant", "client", "consumer", "person", "owner", "account", "profile", "consignee", "recipient", "payer",
	"用户", "客户", "买家", "会员", "患者", "学生", "yonghu", "kehu", "huiyuan", "maijia"}

var idNames = []string{"id", "uid", "uuid", "no", "number", "code", "num", "编号"}

// subjectOf is how likely a place in a record is the id of its data subject; 0: it is not. around is what it stands in.
func subjectOf(name, around string) int {
	tokens := detect.Fold([]byte(name))
	joined := tokens.String()
	if joined == "openid" || joined == "unionid" || joined == "uid" {
		return 1
	}
	for i, person := range people {
		folded := detect.Fold([]byte(person)).String()
		for _, id := range idNames {
			if joined == folded+id || joined == id && isPlural(around, folded) {
				return 2 + len(people) - i
			}
		}
	}
	return 0
}

func isPlural(name, singular string) bool {
	joined := detect.Fold([]byte(name)).String()
	return joined == singular || joined == singular+"s" || joined == singular+"list" || joined == singular+"info"
}

// records finds the lists, and the documents, whose objects say whose personal data they are.
func (g *Guesser) records(d *Draft) []Record {
	var found []Record
	g.root.each(func(p *place) {
		spot := g.scope.Spot(p.at)
		isRecord := p.objects > 0 && !p.named && (p.parent == nil || p.step.Kind == rules.StepAny)
		if !isRecord || spot != nil && p.at != 0 && spot.Record != 0 {
			return
		}
		if r := g.record(p); r != nil && holdsPersonal(d, r.At) {
			found = append(found, *r)
		}
	})
	return found
}

// holdsPersonal reports whether something personal stands below a place.
func holdsPersonal(d *Draft, at string) bool {
	below := func(f Field) bool {
		where := f.At + f.Inside
		return len(where) > len(at) && where[:len(at)] == at && where[len(at)] == '/'
	}
	return slices.ContainsFunc(d.Fields, below) || slices.ContainsFunc(d.Known, below)
}

func (g *Guesser) record(p *place) *Record {
	listName, _ := p.lastName()
	best, bestScore := (*place)(nil), 0
	var all []*place
	var look func(q *place, around string, depth int)
	look = func(q *place, around string, depth int) {
		for _, child := range q.children() {
			if child.step.Kind != rules.StepName {
				continue
			}
			if ids := child.stats.values; ids > 0 && float64(ids) >= 0.9*float64(p.objects) && ids <= p.objects {
				if score := subjectOf(child.step.Name, around); score > 0 {
					if all = append(all, child); score > bestScore {
						best, bestScore = child, score
					}
				}
			}
			if depth > 0 {
				look(child, child.step.Name, depth-1)
			}
		}
	}
	look(p, listName, 2)
	if best == nil {
		return nil
	}
	r := &Record{At: p.selector(nil).String(), Subject: best.selector(p).String(), Hits: best.stats.values, Objects: p.objects, Distinct: len(best.stats.distinct)}
	for _, other := range all {
		if other != best {
			r.Others = append(r.Others, other.selector(p).String())
		}
	}
	return r
}
