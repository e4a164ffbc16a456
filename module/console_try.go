package minimize

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddy-minimize/minimize/module/console"
	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/explain"
)

// The longest document that is tried, and the longest form: in a form's encoding a byte can take three.
const (
	maxTried = 256 << 10
	maxForm  = 3*maxTried + 16<<10
)

// triedSample stands in the form at first. Nobody has such an order.
const triedSample = `{
  "order_no": "D2026112200042",
  "status": "paid",
  "amount": 129.5,
  "buyer": {
    "id": "u-1",
    "name": "Ada Example",
    "phone": "13900001234",
    "email": "ada@example.com",
    "country": "CN"
  },
  "device": {"imei": "490154203237518", "ip": "203.0.113.7"},
  "remark": "Call 13900001234 before delivery"
}`

var (
	errFormLong  = &pageError{http.StatusRequestEntityTooLarge, "This form is too long"}
	errFormWrong = &pageError{http.StatusBadRequest, "This is no form of this page"}
)

// readForm reads what was posted. Nothing of it is in the URL, and nothing of it leaves the memory.
func (v *visit) readForm() error {
	v.r.Body = http.MaxBytesReader(nil, v.r.Body, maxForm)
	err := v.r.ParseForm()
	if _, long := errors.AsType[*http.MaxBytesError](err); long {
		return errFormLong
	}
	if err != nil || v.r.PostForm == nil {
		return errFormWrong
	}
	return nil
}

// posted is a field of what was posted.
func (v *visit) posted(name string) string { return strings.TrimSpace(v.r.PostForm.Get(name)) }

func (v *visit) try() (any, error) {
	sets := *v.h.app.current.Load()
	if len(sets) == 0 {
		return nil, errNoRules
	}
	keys := slices.Sorted(maps.Keys(sets))
	form := url.Values{"documents": {keys[0]}, "operation": {""}}
	post := v.r.Method == http.MethodPost
	if post {
		if err := v.readForm(); err != nil {
			return nil, err
		}
		form = v.r.PostForm
	}
	chosen := sets[form.Get("documents")]
	if chosen == nil {
		if form.Has("documents") {
			return nil, errNoChoice
		}
		chosen = sets[keys[0]]
	}
	set := chosen.enforced
	view := console.Try{Form: tryForm(set, keys, form)}
	if !post {
		view.Form.Document = triedSample
		view.Form.Operation = usualOperation(set)
		return view, nil
	}
	tried := trial{set: set, form: form, now: v.now}
	account, wrong := tried.judge()
	if view.Wrong = wrong; wrong != "" {
		return view, nil
	}
	view.Tried = console.NewTried(form.Get("document"), account, func(i *explain.Item) string {
		clause, _ := v.h.app.written(i.Pos)
		return clause
	})
	return view, nil
}

// usualOperation is the first that reads something, or else none.
func usualOperation(set *rules.Ruleset) string {
	for _, o := range set.Operations() {
		if o.Method == http.MethodGet {
			return o.String()
		}
	}
	return ""
}

var tryDirections = []console.Option{
	{Value: "response", Text: "response: what the caller reads"},
	{Value: "inbound", Text: "inbound: what may be collected"},
	{Value: "egress", Text: "egress: what a recipient gets"},
}

// tryForm is the form with what was chosen in it.
func tryForm(set *rules.Ruleset, documents []string, form url.Values) console.TryForm {
	f := console.TryForm{
		ID: form.Get("id"), Organisation: form.Get("organisation"), Country: form.Get("country"),
		Operation: form.Get("operation"), Document: form.Get("document"), Subject: form.Get("subject"), Guardian: form.Get("guardian"),
		Case: form.Get("case"), Claims: form.Get("claims"),
	}
	for _, key := range documents {
		f.Choices = append(f.Choices, console.Option{Value: key, Text: choiceName(key), Chosen: key == form.Get("documents")})
	}
	for _, o := range tryDirections {
		o.Chosen = o.Value == form.Get("direction")
		f.Directions = append(f.Directions, o)
	}
	f.Purposes = options(set.Purposes(), form["purpose"])
	f.Roles = options(set.Roles(), form["role"])
	if names := set.Recipients(); len(names) > 0 {
		f.Recipients = append([]console.Option{{Text: "none"}}, options(names, form["recipient"])...)
	}
	f.Consents = []console.Option{{Text: "none"}}
	for _, level := range []rules.Level{rules.LevelBundled, rules.LevelGeneral, rules.LevelExplicit, rules.LevelSeparate, rules.LevelWritten} {
		f.Consents = append(f.Consents, options([]string{level.String()}, form["consent"])...)
	}
	return f
}

func options(names, chosen []string) (all []console.Option) {
	for _, name := range names {
		all = append(all, console.Option{Value: name, Text: name, Chosen: slices.Contains(chosen, name)})
	}
	return all
}

// trial is a document and whom it goes to.
type trial struct {
	set  *rules.Ruleset
	form url.Values
	now  time.Time
}

// judge says what becomes of the document. wrong is for who filled in the form.
func (t *trial) judge() (account *explain.Account, wrong string) {
	document := t.form.Get("document")
	switch {
	case strings.TrimSpace(document) == "":
		return nil, "Paste a document first: JSON, such as an answer of your API."
	case len(document) > maxTried:
		return nil, fmt.Sprintf("The document has %d KiB, and 256 KiB are the most: try a part of it.", len(document)>>10)
	}
	if wrong := misread(document); wrong != "" {
		return nil, wrong
	}
	if tooMuch(document) {
		return nil, "The document has too many values, or too long names around them, to be shown: try a part of it."
	}
	triedAtOnce <- struct{}{}
	defer func() { <-triedAtOnce }()
	o, err := t.operation()
	if err != nil {
		return nil, "The operation is a method and a path, such as GET /api/orders."
	}
	d, wrong := t.disclosure()
	if wrong != "" {
		return nil, wrong
	}
	if d.Position == rules.Egress && d.Recipient == "" {
		return nil, "Choose the recipient that it goes to, or another direction."
	}
	sample := Sample{Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(document)}
	if d.Position == rules.Egress {
		sample.Path = (&url.URL{Path: o.Path}).EscapedPath()
	}
	account, err = sample.Explain(t.set, o, d, true)
	if err != nil {
		return nil, "This document cannot be judged."
	}
	return account, ""
}

func (t *trial) operation() (rules.Operation, error) {
	if text := strings.TrimSpace(t.form.Get("operation")); text != "" {
		return rules.ParseOperation(text)
	}
	return rules.Operation{Method: http.MethodGet, Path: "/"}, nil
}

// disclosure is what the engine takes. wrong is for who filled in the form.
func (t *trial) disclosure() (d *rules.Disclosure, wrong string) {
	get := func(name string) string { return strings.TrimSpace(t.form.Get(name)) }
	known := slices.DeleteFunc(slices.Clone(t.form["role"]), func(role string) bool { return !t.set.KnowsRole(role) })
	d = &rules.Disclosure{
		Caller: rules.Caller{
			ID: get("id"), Roles: known, Organisation: get("organisation"), Country: strings.ToUpper(get("country")),
			Guardian: strings.Fields(get("guardian")), Claims: map[string]string{},
		},
		Purpose: get("purpose"), Subject: get("subject"), Time: t.now,
	}
	for _, claim := range strings.Fields(get("claims")) {
		name, value, ok := strings.Cut(claim, "=")
		if !ok {
			return nil, "A claim is a name and a value, such as mfa=true. Several stand beside each other, with blanks between them."
		}
		d.Caller.Claims[name] = value
	}
	if acts := get("case"); acts != "" {
		kind, subject, ok := strings.Cut(acts, ":")
		if !ok {
			return nil, "A case is its kind and whom it is about, such as ticket:u-1."
		}
		d.Caller.Case = &rules.Case{Kind: kind, Subject: subject}
	}
	switch get("direction") {
	case "egress":
		d.Position, d.Recipient = rules.Egress, get("recipient")
	case "inbound":
		d.Position, d.Recipient = rules.Inbound, get("recipient")
	}
	d.People = t.people(d)
	return d, ""
}

// people are the data subjects, who all agreed to the same.
func (t *trial) people(d *rules.Disclosure) rules.People {
	all := everybody{person: rules.Person{Policy: t.set.Policy()}, seen: map[string]bool{}}
	if level, ok := rules.ParseLevel(t.form.Get("consent")); ok {
		for _, recipient := range slices.Compact([]string{"", cmp.Or(d.Recipient, d.Caller.Organisation)}) {
			all.person.Consents = append(all.person.Consents, rules.Consent{
				Purpose: d.Purpose, Recipient: recipient, Level: level, Policy: t.set.Policy(), Given: t.now,
			})
		}
	}
	return &all
}

// everybody is a store in which all data subjects are alike.
type everybody struct {
	person rules.Person
	seen   map[string]bool
}

// Find implements rules.People.
func (e *everybody) Find(people []*rules.Person, _ [][]byte) {
	for i := range people {
		people[i] = &e.person
	}
}

// Case implements rules.People.
func (*everybody) Case(string) *rules.Case { return nil }

// Seen implements rules.People: who tries a document has seen nobody else today.
func (e *everybody) Seen(nth []int, _ string, subjects [][]byte, _ int) {
	for i, id := range subjects {
		e.seen[string(id)] = true
		nth[i] = len(e.seen)
	}
}

// Now implements rules.People.
func (*everybody) Now() time.Time { return time.Time{} }

// Send implements rules.People.
func (*everybody) Send(_ []*rules.Person, write func() error) (bool, error) { return true, write() }

// misread says where a document is no JSON, by line and column as editors count them.
func misread(document string) string {
	var raw json.RawMessage
	err := json.Unmarshal([]byte(document), &raw)
	wrong, ok := errors.AsType[*json.SyntaxError](err)
	if !ok {
		return ""
	}
	before := document[:min(max(int(wrong.Offset)-1, 0), len(document))]
	if strings.HasPrefix(wrong.Error(), "unexpected end") {
		before = document
	}
	line := strings.Count(before, "\n") + 1
	column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	return fmt.Sprintf("This is no JSON at line %d, column %d: %s.", line, column, wrong)
}
