package minimize

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/logging"
	"github.com/tidwall/gjson"
	"go.uber.org/zap"

	"github.com/caddy-minimize/minimize/module/auditlog"
	"github.com/caddy-minimize/minimize/module/console"
	"github.com/caddy-minimize/minimize/rules"
)

// What one look at the log may cost.
const (
	evidenceEntries  = 30
	evidencePatience = 3 * time.Second
	verifyPatience   = 10 * time.Second
	evidenceFindings = 20
)

func (v *visit) evidence() (any, error) {
	get := v.query
	if v.r.Method == http.MethodPost {
		if err := v.readForm(); err != nil {
			return nil, err
		}
		get = v.posted
	}
	view := &console.Evidence{People: v.people, Told: v.h.app.audit.tellsOfLooks()}
	file, ok := v.h.app.audit.opener.(*logging.FileWriter)
	if !ok {
		view.Nowhere = "This gateway keeps no audit log in a file, so there is nothing to search here. It comes with `audit output file audit.jsonl` in the global option `minimize`."
		return view, nil
	}
	// What may be about a person is in no URL: of a GET only the decision counts.
	search := evidenceSearch{get: get, mayID: v.people, keys: v.h.app.Keys}
	if v.r.Method != http.MethodPost {
		search.get = func(name string) string { return onlyDecision(name, v) }
	}
	view.Form = v.evidenceForm(search.get)
	head := v.h.app.audit.head()
	view.Chain = &console.Chain{File: filepath.Base(file.Filename), Seq: head.Seq, Hash: hex.EncodeToString(head.Hash[:])}
	files := auditlog.Files(file.Filename)
	if search.get("verify") != "" {
		view.Chain.Verified = v.verified(files, head)
	}
	filter, wrong, err := search.filter()
	if err != nil {
		v.h.logger.Error("searching the audit log", zap.Error(err))
	}
	if view.Wrong = wrong; wrong != "" {
		return view, nil
	}
	release := v.placeToRead()
	if release == nil {
		view.Wrong = "Others are searching the log now, and it is read by two at a time: ask again in a moment."
		return view, nil
	}
	defer release()
	if !v.toldOf(eventSearched, search.people...) {
		view.Wrong = notTold
		return view, nil
	}
	if len(filter.Subjects) > 0 && search.get("before") == "" { // older entries are of the same search
		if view.Received, err = receivers(*filter, files, head.Seq); err != nil {
			v.h.logger.Error("summing up the audit log", zap.Error(err))
		}
	}
	unread, err := list(view, filter, files, search, head.Seq)
	if err != nil {
		view.Wrong = "The audit log could not be read: the gateway's own log says why."
	}
	if view.Unread = len(unread); view.Unread > 0 || err != nil {
		v.h.logger.Error("searching the audit log", zap.Error(err), zap.Errors("passed over", unread))
	}
	return view, nil
}

// readingAtOnce bounds how many search the log at the same time: each look takes seconds of a processor.
var readingAtOnce = make(chan struct{}, 2)

// placeToRead waits until this visit may search, as long as a search takes, and returns how its place is given back; nil: there is none.
func (v *visit) placeToRead() (release func()) {
	wait, cancel := context.WithTimeout(v.r.Context(), evidencePatience)
	defer cancel()
	select {
	case readingAtOnce <- struct{}{}:
		return func() { <-readingAtOnce }
	case <-wait.Done():
		return nil
	}
}

// receivers sums up who received what, up to the last entry before the search.
func receivers(filter auditlog.Filter, files []string, last uint64) (*console.Receivers, error) {
	var sum auditlog.Summary
	var all console.Receivers
	end := time.Now().Add(evidencePatience)
	filter.Read = func(int) error {
		if time.Now().After(end) {
			return errFar
		}
		return nil
	}
	_, err := filter.Each(files, func(entry gjson.Result) error {
		if entry.Get("seq").Uint() > last {
			return nil
		}
		return sum.Add(entry)
	})
	if all.Late = errors.Is(err, errFar); err != nil && !all.Late {
		return nil, err
	}
	for _, r := range sum.Rows() {
		row := console.Received{Who: r.Receiver(), Said: r.Said(true), Period: r.Period(), Purposes: r.Purposes, Report: r.Report}
		for _, category := range slices.Sorted(maps.Keys(r.Values)) {
			for action, n := range r.Values[category] {
				row.Values = append(row.Values, console.Values{Category: category, Action: action, Count: int64(n)})
			}
		}
		all.Shared = all.Shared || r.Alone < r.Messages
		all.Rows = append(all.Rows, row)
	}
	return &all, nil
}

func onlyDecision(name string, v *visit) string {
	if name == "decision" {
		return v.query(name)
	}
	return ""
}

// list fills in what is meant, the newest first, and none behind the last one: the search itself stands there.
func list(view *console.Evidence, filter *auditlog.Filter, files []string, search evidenceSearch, last uint64) (unread []error, err error) {
	before, _ := strconv.ParseUint(search.get("before"), 10, 64)
	page, err := filter.Newest(files, cmp.Or(before, last+1), evidenceEntries, time.Now().Add(evidencePatience))
	if err != nil {
		return nil, err
	}
	view.Read, view.More, view.Late, view.Reached, view.Unnamed = page.Read, page.More, page.Late, page.Reached, filter.Unnamed
	for _, entry := range page.Entries {
		view.Entries = append(view.Entries, entryView(entry))
	}
	if search.get("decision") != "" && len(view.Entries) > 0 {
		view.Only = &view.Entries[len(view.Entries)-1]
		view.Only.Facts = entryFacts(page.Entries[len(page.Entries)-1])
	}
	return page.Unread, nil
}

// head is what was written last.
func (l *audit) head() auditlog.Head {
	if l.chain == nil {
		return auditlog.Head{}
	}
	return l.chain.Head()
}

func (v *visit) evidenceForm(get func(string) string) console.EvidenceForm {
	var roles, recipients []string
	for _, set := range *v.h.app.current.Load() {
		roles, recipients = append(roles, set.enforced.Roles()...), append(recipients, set.enforced.Recipients()...)
	}
	unique := func(names []string) []string { slices.Sort(names); return slices.Compact(names) }
	return console.EvidenceForm{
		Subject: get("subject"), Caller: get("caller"), Category: get("category"), Decision: get("decision"), From: get("from"), Until: get("until"),
		Roles:      options(unique(append(roles, rules.Anonymous)), []string{get("role")}),
		Recipients: options(unique(recipients), []string{get("recipient")}),
		Outcomes:   options(outcomes, []string{get("outcome")}),
		Directions: options([]string{"response", "inbound", "egress", "consent"}, []string{get("direction")}),
	}
}

// evidenceSearch is what the form asks for.
type evidenceSearch struct {
	get    func(string) string
	mayID  bool // may search for people by their ids
	keys   string
	people []string // the ids that are searched for
}

const (
	noPeople = "Your role may not search for a person. Of callers it may search for the tokens that entries have, hm1_…"
	noTokens = "Entries do not say whom they are about, because the gateway has no keys to make pseudonyms with: it gets them with the option `keys`."
	noKeys   = "The gateway's keys cannot be read now, and without them nobody is found: the gateway's own log says why."
)

// filter is what the log is searched for. wrong is for who filled in the form, err for the gateway's log.
func (s *evidenceSearch) filter() (f *auditlog.Filter, wrong string, err error) {
	f = &auditlog.Filter{Members: map[string][]string{}}
	for _, name := range []string{"role", "recipient", "outcome", "direction", "decision"} {
		if value := s.get(name); value != "" {
			f.Members[name] = []string{value}
		}
	}
	if category := s.get("category"); category != "" {
		f.Categories = []rules.Category{rules.Category(category)}
	}
	if f.From, err = formTime(s.get("from")); err == nil {
		f.Until, err = formTime(s.get("until"))
	}
	if err != nil {
		return nil, "A time is a day and a time of day, such as 2026-11-22T09:00, in UTC.", nil
	}
	if f.Subjects, wrong, err = s.person(auditlog.Subject, s.get("subject")); wrong != "" {
		return nil, wrong, err
	}
	if caller := s.get("caller"); rules.IsToken(caller) {
		f.Callers = []string{caller}
	} else {
		f.Callers, wrong, err = s.person(auditlog.Caller, caller)
	}
	return f, wrong, err
}

// person returns the tokens of an id, by which a person is known.
func (s *evidenceSearch) person(as rules.Category, id string) (tokens []string, wrong string, err error) {
	switch {
	case id == "":
		return nil, "", nil
	case !s.mayID:
		return nil, noPeople, nil
	case s.keys == "":
		return nil, noTokens, nil
	}
	if tokens, err = auditlog.Tokens(s.keys, as, []string{id}); err != nil {
		return nil, noKeys, err
	}
	s.people = append(s.people, id)
	return tokens, "", nil
}

// formTime reads what browsers send of a datetime-local (HTML, 4.10.5.1.11), and a day.
func formTime(text string) (at time.Time, err error) {
	if text == "" {
		return at, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.DateOnly} {
		if at, err = time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return at, err
}

// entryView is an entry as Now shows a message.
func entryView(entry gjson.Result) console.Entry {
	text := func(name string) string { return entry.Get(name).String() }
	e := console.Entry{Seq: entry.Get("seq").Uint(), Message: console.Message{
		At: entry.Get("time").Time(), Decision: text("decision"), Direction: text("direction"), Operation: text("operation"), Role: text("role"),
		Purpose: text("purpose"), Recipient: text("recipient"), Country: text("recipient_country"), Outcome: text("outcome"),
		Reason: text("reason"), Rule: text("rule"), Status: int(entry.Get("status").Int()), Would: text("mode") == modeReport,
	}}
	if e.Country == "" {
		e.Country = text("country")
	}
	if e.Organisation = text("organisation"); e.Direction == "response" && e.Recipient != "" { // who reads, and not where to
		e.Organisation, e.Recipient = e.Recipient, ""
	}
	if e.Kind = outcomeKind(e.Outcome); text("event") != "" {
		e.Outcome, e.Kind = strings.ReplaceAll(text("event"), "_", " "), console.Plain
	}
	entry.Get("values").ForEach(func(name, n gjson.Result) bool {
		category, action, _ := strings.Cut(name.Str, " ")
		e.Values = append(e.Values, console.Values{Category: category, Action: action, Count: n.Int()})
		return true
	})
	return e
}

// entryFacts is all that an entry says.
func entryFacts(entry gjson.Result) (facts []console.Fact) {
	entry.ForEach(func(name, value gjson.Result) bool {
		if said := said(value); said != "" {
			facts = append(facts, console.Fact{Name: strings.ReplaceAll(name.String(), "_", " "), Text: said})
		}
		return true
	})
	return facts
}

// said is what a member of an entry says, in a line.
func said(value gjson.Result) string {
	if !value.IsObject() && !value.IsArray() {
		return value.String()
	}
	var parts []string
	value.ForEach(func(key, inner gjson.Result) bool {
		switch text := said(inner); {
		case value.IsArray() || key.Str == "token":
			parts = append(parts, text)
		case strings.Contains(key.Str, " "): // a category and an action
			parts = append(parts, key.Str+" ×"+text)
		default:
			parts = append(parts, key.Str+" "+text)
		}
		return true
	})
	return strings.Join(parts, ", ")
}

// verifying is held by who verifies: a long log is read by one at a time.
var verifying sync.Mutex

// errFar ends a verification at what was written when it began, or when its time is over.
var errFar = errors.New("far enough")

// verified reads the log from its beginning to the entry that was the last when it was asked for.
func (v *visit) verified(files []string, head auditlog.Head) *console.Verified {
	if !verifying.TryLock() {
		return &console.Verified{Busy: true}
	}
	defer verifying.Unlock()
	deadline := time.Now().Add(verifyPatience)
	verifier := auditlog.Verifier{Known: head, Pruned: true}
	view := &console.Verified{}
	err := auditlog.Read(files, func(e auditlog.Entry) error {
		verifier.Next(e)
		if view.First == 0 {
			view.First = verifier.Head.Seq
		}
		if view.Whole = verifier.Head.Seq == head.Seq; view.Whole || verifier.Entries%1024 == 0 && time.Now().After(deadline) || len(verifier.Findings) > 10*evidenceFindings {
			return errFar
		}
		return nil
	})
	view.Entries, view.Upto = verifier.Entries, verifier.Head.Seq
	if err == nil { // all was read, and the head was not in it
		view.Whole = true
		verifier.End()
	}
	if err != nil && !errors.Is(err, errFar) {
		v.h.logger.Error("verifying the audit log", zap.Error(err))
		verifier.Findings = append(verifier.Findings, auditlog.Finding{What: "it could not be read to its end: the gateway's own log says why"})
	}
	for _, f := range verifier.Findings[:min(len(verifier.Findings), evidenceFindings)] {
		where := "the log"
		if f.File != "" {
			where = filepath.Base(f.File) + ":" + strconv.Itoa(f.Line)
		}
		view.Findings = append(view.Findings, console.Finding{Where: where, What: f.What})
	}
	view.More = len(verifier.Findings) - len(view.Findings)
	return view
}

// anyRules are the rules of some choice of documents: the keys of all are the same.
func (a *App) anyRules() *ruleset {
	sets := *a.current.Load()
	for _, key := range slices.Sorted(maps.Keys(sets)) {
		return sets[key]
	}
	return nil
}
