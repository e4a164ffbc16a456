// Package explain puts into words what becomes of each value of a document, for the terminal and for the browser.
package explain

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/body"
)

// Account is what becomes of one document.
type Account struct {
	Operation string    `json:"operation"`
	To        string    `json:"to"`
	Purpose   string    `json:"purpose,omitempty"`
	Time      time.Time `json:"time"`
	Notes     []string  `json:"notes,omitempty"`
	Refused   *Refused  `json:"refused,omitempty"` // null: the message is sent
	Values    []*Item   `json:"values"`

	Output []byte `json:"-"` // what is sent
}

// Refused is why nothing is sent.
type Refused struct {
	Reason     string           `json:"reason"`
	Rule       string           `json:"rule,omitempty"`
	Law        string           `json:"law,omitempty"`
	Detail     string           `json:"detail,omitempty"`
	Categories []rules.Category `json:"categories,omitempty"`
	At         []string         `json:"at,omitempty"` // the values that led to it
}

// Item is one value, or what was found in one.
type Item struct {
	At       string          `json:"at,omitempty"`
	Category string          `json:"category,omitempty"` // none: declared to be none; missing: nothing is known
	Grade    string          `json:"grade,omitempty"`
	By       string          `json:"by,omitempty"`       // place, key, word, detector, name, or container, with which it goes
	Declared string          `json:"declared,omitempty"` // the selector, key or words; of a detector its name
	Source   string          `json:"source,omitempty"`   // where that is written
	Action   string          `json:"action"`
	Reason   string          `json:"reason,omitempty"`
	Rule     string          `json:"rule,omitempty"`
	Written  string          `json:"written,omitempty"` // where the rule is
	Law      string          `json:"law,omitempty"`
	Record   *string         `json:"record,omitempty"`  // where the record starts that owns it
	Subject  string          `json:"subject,omitempty"` // where it says whose data it is
	Before   json.RawMessage `json:"before,omitempty"`
	After    json.RawMessage `json:"after,omitempty"`
	Found    []*Item         `json:"found,omitempty"`   // in it
	Values   []*Item         `json:"values,omitempty"`  // of the document that it holds
	Dropped  bool            `json:"dropped,omitempty"` // a record starts here, and is left out of its list
	Lacking  []Lacking       `json:"lacking,omitempty"`
	Pos      rules.Pos       `json:"-"`                // of the rule
	Silent   []string        `json:"silent,omitempty"` // rules for this caller and purpose that do not name the category
}

// Lacking is a rule that would disclose more, and what it lacks.
type Lacking struct {
	Rule    string `json:"rule"`
	Source  string `json:"source"`
	Action  string `json:"action"`
	Applies bool   `json:"applies"` // it is for this caller and purpose
	Lacks   []Lack `json:"lacks"`
}

// Lack is one condition that does not hold.
type Lack struct {
	Key     string `json:"key"`
	Wants   string `json:"wants"`
	Reason  string `json:"reason,omitempty"`
	Unknown bool   `json:"unknown,omitempty"`
}

// teller turns what the engine says into what people read.
type teller struct {
	set    *rules.Ruleset
	judge  *rules.Judge
	values bool
}

// Of tells what becomes of a document that a disclosure is about. Only with values the values themselves are in it.
func Of(set *rules.Ruleset, o rules.Operation, d *rules.Disclosure, e *body.Explained, values bool) *Account {
	t := teller{set, set.Scope(o.Method, o.Path).Judge(d), values}
	a := &Account{Operation: o.String(), To: t.audience(d), Purpose: d.Purpose, Time: d.Time, Notes: t.notes(d), Values: []*Item{}, Output: e.Output}
	for _, value := range e.Values {
		a.Values = append(a.Values, t.item(value))
	}
	if r := e.Refusal; r != nil {
		a.Refused = &Refused{Reason: r.Reason.String(), Rule: r.Rule, Law: r.Law, Detail: r.Detail, Categories: r.Categories}
		for _, value := range e.Values {
			if value.Action == rules.Block {
				a.Refused.At = append(a.Refused.At, value.At)
			}
		}
	}
	return a
}

// audience is whom the message goes to, in one line.
func (t *teller) audience(d *rules.Disclosure) string {
	switch {
	case d.Position == rules.Egress:
		return "recipient " + d.Recipient
	case d.Position == rules.Inbound && d.Recipient != "":
		return "us, from " + d.Recipient
	case d.Position == rules.Inbound:
		return "us"
	case d.Caller.Organisation != "":
		return "organisation " + d.Caller.Organisation
	}
	known := slices.DeleteFunc(slices.Clone(d.Caller.Roles), func(r string) bool { return !t.set.KnowsRole(r) })
	if len(known) == 0 {
		return rules.Anonymous
	}
	return strings.Join(known, ", ")
}

// notes say what of the disclosure no rule knows.
func (t *teller) notes(d *rules.Disclosure) (notes []string) {
	for _, role := range d.Caller.Roles {
		if !t.set.KnowsRole(role) {
			notes = append(notes, "no rule document declares the role "+role+", so it counts for nothing")
		}
	}
	if d.Purpose == "" {
		notes = append(notes, "there is no purpose, so no `allow` permits anything: say what it is for")
	} else if !t.set.KnowsPurpose(d.Purpose) {
		notes = append(notes, "no rule document declares the purpose "+d.Purpose)
	}
	for _, name := range []string{d.Recipient, d.Caller.Organisation} {
		if name != "" && t.set.Recipient(name) == nil {
			notes = append(notes, "no rule document registers "+name+" under `recipients`")
		}
	}
	if home := t.set.Home(); home != "" && d.Position == rules.Response && d.Caller.Country == "" {
		notes = append(notes, "the rules have a home ("+home+"), and nobody says which country the caller is in")
	}
	return notes
}

func (t *teller) item(value *body.Value) *Item {
	item := &Item{At: value.At, Action: value.Action.String()}
	if r := value.Record; r != nil {
		item.Record = &value.RecordAt
		var places []string
		for _, pointer := range r.Subject {
			places = append(places, value.RecordAt+pointer.String())
		}
		item.Subject = strings.Join(places, ", ")
	}
	if t.values && !value.Dropped && !value.Pieces {
		item.Before, item.After = json.RawMessage(value.Text), json.RawMessage(value.Left)
	}
	if value.Gone {
		item.After = nil
	}
	if value.Gone && value.End == 0 {
		item.By, item.Declared, item.Action = "container", value.With, rules.Strip.String()
		return item
	}
	t.recognize(item, value)
	t.decide(item, value.Category, value.Decision, value.Action, value.Facts)
	item.Action, item.Dropped = value.Action.String(), value.Dropped
	whole := value.Action == rules.Blank || value.Action == rules.Strip // then it makes no difference what it holds
	for _, p := range value.Parts {
		if !whole {
			item.Found = append(item.Found, t.part(&p, value.Facts))
		}
	}
	for _, inner := range value.Values {
		item.Values = append(item.Values, t.item(inner))
	}
	return item
}

// recognize says what the value is and by what.
func (t *teller) recognize(item *Item, value *body.Value) {
	label := value.Label
	switch {
	case label != nil && label.Silent:
		item.Category = string(rules.None)
	case value.Category != 0:
		t.categorise(item, value.Category)
	}
	switch {
	case label != nil && (label.Silent || label.Category == value.Category):
		item.By, item.Declared, item.Source = declaredBy(label)
		if value.Inherited {
			item.By = "container"
		}
	case value.Category != 0:
		t.recognizePart(item, value)
	}
}

// recognizePart says by what a value is recognized that nothing declares.
func (t *teller) recognizePart(item *Item, value *body.Value) {
	for _, p := range value.Parts {
		if p.Category == value.Category {
			t.found(item, &p)
			return
		}
	}
	if len(value.Values) > 0 {
		item.By = "inside"
		return
	}
	t.found(item, &body.Part{Category: value.Category})
}

func (t *teller) categorise(item *Item, c rules.CategoryID) {
	info := t.set.Categories()[c]
	item.Category, item.Grade = string(info.Name), info.Grade.String()
}

func declaredBy(label *rules.Label) (by, declared, source string) {
	by, declared, source = "key", label.Selector, label.Field.Pos.String()
	switch f := label.Field; {
	case f.At != nil:
		by = "place"
	case f.Words != nil:
		by, declared = "word", strings.Join(f.Words, ", ")
	}
	return by, declared, source
}

func (t *teller) part(p *body.Part, facts rules.Facts) *Item {
	item := new(Item)
	t.categorise(item, p.Category)
	t.found(item, p)
	action := p.Decision.Action
	if p.Found == body.ByDetector && action > rules.Mask && action < rules.Block {
		action = rules.Mask // of a text it takes no more
	}
	t.decide(item, p.Category, p.Decision, action, facts)
	return item
}

// found says by what a part was recognized.
func (t *teller) found(item *Item, p *body.Part) {
	switch p.Found {
	case body.ByDetector:
		item.By, item.Declared = "detector", strings.Join(t.judge.Scope().Detectors(p.Category), ", ")
	case body.ByWord:
		item.By, item.Declared, item.Source = declaredBy(p.Label)
	case body.ByName:
		item.By = "name inside"
	case body.ByOwnName:
		item.By, item.Declared = "own name", strings.Join(t.judge.Scope().Detectors(p.Category), ", ")
	}
}

// decide says which rule decided and why, and where less than everything is left, what the others lack.
func (t *teller) decide(item *Item, c rules.CategoryID, d *rules.Decision, action rules.Action, facts rules.Facts) {
	item.Action = action.String()
	if d == nil {
		return
	}
	item.Reason, item.Rule, item.Law = d.Reason.String(), d.Rule, d.Law
	if c == 0 {
		return
	}
	e := t.judge.Explain(c, facts)
	for _, o := range e.Opinions {
		if o.Rule.ID == d.Rule {
			item.Written, item.Pos = o.Rule.Pos.String(), o.Rule.Pos
		}
		if !o.Limit && o.Action < d.Action && len(o.Lacks) > 0 && (o.Applies || d.Reason != rules.Permitted) {
			item.Lacking = append(item.Lacking, lacking(&o))
		}
	}
	if d.Reason == rules.Surplus {
		for _, r := range e.Silent {
			item.Silent = append(item.Silent, r.ID)
		}
	}
}

func lacking(o *rules.Opinion) Lacking {
	l := Lacking{Rule: o.Rule.ID, Source: o.Rule.Pos.String(), Action: o.Action.String(), Applies: o.Applies}
	for _, lack := range o.Lacks {
		l.Lacks = append(l.Lacks, Lack{lack.Key, lack.Wants, lack.Reason.String(), lack.Unknown})
	}
	return l
}
