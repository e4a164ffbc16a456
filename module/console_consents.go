package minimize

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/caddy-minimize/minimize/module/consentstore"
	"github.com/caddy-minimize/minimize/module/console"
)

// mostEvents of a history are shown.
const mostEvents = 500

func (v *visit) consents() (any, error) {
	view := &console.Consents{People: v.people, Store: v.h.app.consents != nil, Told: v.h.app.audit.tellsOfLooks()}
	if v.r.Method != http.MethodPost {
		return view, nil
	}
	if !v.people {
		return nil, errNotYours
	}
	if err := v.readForm(); err != nil {
		return nil, err
	}
	view.ID = v.posted("subject")
	switch {
	case !view.Store:
	case !consentstore.ValidID(view.ID):
		view.ID, view.Wrong = "", "This is no id that a data subject can have."
	default:
		view.Found, view.Wrong = v.person(view.ID)
	}
	return view, nil
}

// person is what the store itself has of somebody, as consents are read by a role that manages them: it is told of in the
// audit log, where there is one, before it is shown. wrong is why it is not shown.
func (v *visit) person(id string) (found *console.Person, wrong string) {
	ctx, cancel := context.WithTimeout(v.r.Context(), storePatience)
	defer cancel()
	store := v.h.app.consents.Store()
	subjects, err := store.Find(ctx, []string{id})
	var history []consentstore.Entry
	if err == nil {
		history, err = store.History(ctx, id)
	}
	if err != nil {
		v.h.logger.Warn("the consent store did not answer", zap.Error(err))
		return nil, "The consent store cannot answer now. Try again in a moment."
	}
	if !v.toldOf(eventRead, id) {
		return nil, notTold
	}
	return personView(&subjects[0], history, v.now), ""
}

// tellsOfLooks says what becomes of it that somebody looks for a person.
func (l *audit) tellsOfLooks() string {
	switch {
	case l.chain == nil:
		return "This gateway has no audit log: nothing tells that you looked."
	case l.required:
		return "That you look is written to the audit log first, and where that fails, nothing is shown."
	}
	return "That you look is written to the audit log first. Where that fails, it is counted, and you see the person all the same."
}

const notTold = "That you look cannot be written to the audit log now, so nothing is shown."

// toldOf writes to the audit log, where there is one, that somebody looks at these people. Where it says no, nothing may be
// shown; an optional log that cannot be written says yes, as to any message.
func (v *visit) toldOf(event string, people ...string) bool {
	set := v.h.app.anyRules()
	for _, id := range people {
		line := &consentLine{decision: uuid.NewString(), event: event, subject: id, caller: v.id, role: v.role, rules: set}
		if set == nil || v.h.app.audit.writeConsent(line) != nil {
			return false
		}
	}
	return true
}

func personView(s *consentstore.Subject, history []consentstore.Entry, now time.Time) *console.Person {
	p := &console.Person{Facts: personFacts(&s.Profile)}
	for i := range s.Records {
		p.Records = append(p.Records, recordView(&s.Records[i], now))
	}
	for _, c := range s.Cases {
		ends := "open"
		if !c.Ends.IsZero() {
			ends = instant(c.Ends)
		}
		p.Cases = append(p.Cases, console.CaseRecord{ID: c.ID, Kind: c.Kind, Callers: strings.Join(c.Callers, ", "), Roles: strings.Join(c.Roles, ", "), Ends: ends})
	}
	p.Earlier = max(len(history)-mostEvents, 0)
	for _, e := range slices.Backward(history[p.Earlier:]) {
		p.History = append(p.History, console.ConsentEvent{
			At: instant(e.At), Event: strings.ReplaceAll(string(e.Event), "_", " "), Purpose: cmp.Or(e.Purpose, "all"), Recipient: e.Recipient,
			Level: e.Level, By: e.GivenBy, Entity: e.Entity, GPC: e.GPC,
		})
	}
	p.Unknown = len(p.Facts)+len(p.Records)+len(p.Cases)+len(p.History) == 0
	return p
}

func personFacts(s *consentstore.Profile) (facts []console.Fact) {
	say := func(name, text string, is bool) {
		if is {
			facts = append(facts, console.Fact{Name: name, Text: text})
		}
	}
	say("born", s.Born, s.Born != "")
	say("age", "a minor", s.Minor)
	say("guardians", strings.Join(s.Guardians, ", "), len(s.Guardians) > 0)
	say("accepted policy", strconv.Itoa(s.Policy), s.Policy > 0)
	say("deleted", instant(s.Ended), !s.Ended.IsZero())
	return facts
}

// recordView is a record with all that ends it.
func recordView(r *consentstore.Record, now time.Time) console.ConsentRecord {
	view := console.ConsentRecord{
		Purpose: cmp.Or(r.Purpose, "all purposes"), Recipient: cmp.Or(r.Recipient, "ourselves"), Level: r.Level, By: r.GivenBy, Evidence: r.Evidence,
	}
	if !r.Given.IsZero() {
		view.Given = instant(r.Given)
	}
	if r.Policy > 0 {
		view.Policy = strconv.Itoa(r.Policy)
	}
	var categories []string
	for _, c := range r.Categories {
		categories = append(categories, string(c))
	}
	view.Categories = cmp.Or(strings.Join(categories, ", "), "all")
	say := func(kind, name string, at time.Time) {
		if !at.IsZero() {
			view.States = append(view.States, console.Fact{Kind: kind, Name: name, Text: instant(at)})
		}
	}
	say(console.Bad, "withdrawn", r.Withdrawn)
	say(console.Bad, "objected", r.Objected)
	say(console.Bad, "restricted", r.Restricted)
	if !r.Expires.After(now) {
		say(console.Bad, "expired", r.Expires)
	}
	ends := len(view.States) > 0
	say(console.Plain, "objected by Sec-GPC", r.GPCAt)
	switch {
	case ends:
	case r.Given.IsZero():
		view.States = append(view.States, console.Fact{Kind: console.Plain, Name: "nothing given"})
	case r.Expires.IsZero():
		view.States = append(view.States, console.Fact{Kind: console.Good, Name: "given"})
	default:
		view.States = append(view.States, console.Fact{Kind: console.Good, Name: "given", Text: "until " + instant(r.Expires)})
	}
	return view
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }
