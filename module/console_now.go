package minimize

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/caddy-minimize/minimize/module/console"
)

// The most messages that Now lists, so that a phone can draw it every two seconds.
const (
	maxListed  = 100
	maxRefused = 20
)

func (v *visit) recent() (any, error) {
	filter := console.NowFilter{Show: v.query("show"), Direction: v.query("direction")}
	all, seen := v.h.app.recent.list()
	view := console.Now{At: v.now, Seen: seen, Kept: len(all), Filter: filter}
	shares := make(map[string]int)
	for i := range all {
		m := shown(&all[i])
		shares[m.Outcome]++
		if m.Kind == console.Bad && len(view.Refused) < maxRefused {
			view.Refused = append(view.Refused, m)
		}
		if listed(&m, filter) && len(view.Messages) < maxListed {
			view.Messages = append(view.Messages, m)
		}
	}
	for _, outcome := range outcomes {
		if n := shares[outcome]; n > 0 {
			view.Outcomes = append(view.Outcomes, console.Share{Word: outcome, Kind: outcomeKind(outcome), Count: n})
		}
	}
	slices.SortStableFunc(view.Outcomes, func(a, b console.Share) int { return cmp.Compare(a.Kind, b.Kind) })
	var err error
	if view.Routes, err = v.h.app.routeStates(); err != nil {
		return nil, err
	}
	view.Rules, view.Health = v.h.app.ruleStates(v.now), v.h.app.health()
	return view, nil
}

func listed(m *console.Message, filter console.NowFilter) bool {
	switch {
	case filter.Direction != "" && m.Direction != filter.Direction:
		return false
	case filter.Show == "refused":
		return m.Kind == console.Bad
	case filter.Show == "changed":
		return m.Kind == console.Changed
	}
	return true
}

// outcomeKind is what an outcome comes to for who looks.
func outcomeKind(outcome string) string {
	switch outcome {
	case outcomeRefused, outcomeAborted, outcomeUnauthorized, outcomeUnjudged:
		return console.Bad
	case outcomeMinimized:
		return console.Changed
	}
	return console.Plain
}

func shown(m *recentMessage) console.Message {
	view := console.Message{
		At: m.at, Decision: m.decision, Direction: m.direction, Operation: m.operation, Role: m.role, Organisation: m.organisation, Purpose: m.purpose, Recipient: m.recipient,
		Country: m.country, Outcome: m.outcome, Kind: outcomeKind(m.outcome), Would: m.would, Reason: m.reason, Rule: m.rule, Status: m.status,
	}
	for _, value := range m.values {
		name := cmp.Or(string(value.category), "undeclared")
		view.Values = append(view.Values, console.Values{Category: name, Action: value.action.String(), Count: int64(value.count)})
	}
	return view
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// routeStates are the routes on which messages are judged, and those that reach a backend without it.
func (a *App) routeStates() ([]console.Route, error) {
	sites, err := a.provisionedSites()
	if err != nil {
		return nil, fmt.Errorf("reading the routes: %w", err)
	}
	var routes []console.Route
	for _, b := range bypasses(sites) {
		note := "reaches " + b.Handler + " without minimize"
		if b.Partly {
			note = "reaches " + b.Handler + " through minimize for some requests only"
		}
		routes = append(routes, console.Route{Name: b.Route, State: console.Uncovered, Note: note})
	}
	var protected map[string]bool
	if shown := a.canary.shown.Load(); shown != nil {
		protected = *shown
	}
	for h, title := range a.titlesOf(sites) {
		routes = append(routes, h.routeState(title, protected))
	}
	slices.SortFunc(routes, func(a, b console.Route) int {
		return cmp.Or(cmp.Compare(a.State, b.State), cmp.Compare(a.Name, b.Name))
	})
	return routes, nil
}

// routeState is how a handler protects its route. A recipient's is asked by no canary, since it answers nobody.
func (h *Handler) routeState(title string, protected map[string]bool) console.Route {
	r := console.Route{Name: title, State: console.Enforced}
	safe, asked := protected[title]
	switch {
	case h.Mode == modeReport:
		r.State, r.Note = console.Report, "nothing is minimized there"
	case h.route.recipient != "":
		r.Note = "to " + h.route.recipient
	case asked && safe:
		r.Note = "the canary got nothing it may not have"
	case asked:
		r.State, r.Note = console.Unprotected, "the canary got what it may not have, or no answer: see the log"
	}
	return r
}

// ruleStates are the rules in force, by the choice of documents.
func (a *App) ruleStates(now time.Time) (states []console.RuleState) {
	loaded := time.Unix(int64(valueOf(a.metrics.rulesLoaded)), 0)
	set := *a.current.Load()
	for _, key := range slices.Sorted(maps.Keys(set)) {
		states = append(states, console.RuleState{
			Documents: choiceName(key), Hash: set[key].enforced.Hash(), Loaded: age(now.Sub(loaded)), Candidate: set[key].candidate != nil,
		})
	}
	return states
}

// choiceName is a choice of documents in words.
func choiceName(key string) string {
	return cmp.Or(strings.ReplaceAll(key, "/", ", "), "all documents")
}

// age is how long ago something was, as people say it.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(int(d.Seconds()), 0))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}

// health is what everything hangs on.
func (a *App) health() []console.Fact {
	facts := []console.Fact{{Name: "Rule files", Text: "the newest are in force", Kind: console.Good}}
	if valueOf(a.metrics.rulesBroken) > 0 {
		facts[0] = console.Fact{Name: "Rule files", Text: "do not load; older rules are in force", Kind: console.Bad}
	}
	facts = append(facts, a.auditHealth(), a.storeHealth(), a.keyHealth())
	if a.geo != nil {
		fact := console.Fact{Name: "Countries of addresses", Text: "built " + a.geo.built().UTC().Format(time.DateOnly), Kind: console.Good}
		if valueOf(a.metrics.geoBroken) > 0 {
			fact.Text, fact.Kind = "a newer database does not load", console.Bad
		}
		facts = append(facts, fact)
	}
	return facts
}

func (a *App) auditHealth() console.Fact {
	fact := console.Fact{Name: "Audit log"}
	switch failed := valueOf(a.metrics.auditFailures); {
	case a.audit.chain == nil:
		fact.Text, fact.Kind = "none is configured: nothing can be proven later", console.Warn
	case a.audit.failing.Load():
		fact.Text, fact.Kind = fmt.Sprintf("cannot be written: %.0f lines are lost", failed), console.Bad
	case failed > 0:
		fact.Text, fact.Kind = fmt.Sprintf("is written again; %.0f lines were lost since the start", failed), console.Warn
	case a.AuditRequired:
		fact.Text, fact.Kind = "what has no line is not sent", console.Good
	default:
		fact.Text, fact.Kind = "every message has its line", console.Good
	}
	return fact
}

func (a *App) storeHealth() console.Fact {
	fact := console.Fact{Name: "Consent store"}
	switch {
	case a.consents == nil:
		fact.Text = "none is configured: nobody has agreed to anything"
	case a.consents.Fresh():
		fact.Text, fact.Kind = fmt.Sprintf("fresh, %d data subjects in memory", a.consents.Stats().Cached), console.Good
	default:
		fact.Text, fact.Kind = "away: no consent counts", console.Bad
	}
	return fact
}

func (a *App) keyHealth() console.Fact {
	fact := console.Fact{Name: "Keys"}
	switch {
	case valueOf(a.metrics.keysBroken) > 0:
		fact.Text, fact.Kind = "a key file for tokens does not load; older keys are in force", console.Bad
	case a.Keys == "":
		fact.Text = "none are configured: the audit log does not say who asked"
	default:
		fact.Text, fact.Kind = "loaded: the audit log names callers by tokens", console.Good
	}
	return fact
}

// reading is one series of a metric, as it stands now.
type reading struct {
	labels map[string]string
	value  float64
}

// readingsOf reads what a collector shows now.
func readingsOf(c prometheus.Collector) (all []reading) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		return nil
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			s := reading{labels: make(map[string]string), value: metric.GetGauge().GetValue() + metric.GetCounter().GetValue()}
			for _, label := range metric.GetLabel() {
				s.labels[label.GetName()] = label.GetValue()
			}
			all = append(all, s)
		}
	}
	return all
}

// valueOf is the value of a metric without labels.
func valueOf(m prometheus.Metric) float64 {
	var now dto.Metric
	if m.Write(&now) != nil {
		return 0
	}
	return now.GetGauge().GetValue() + now.GetCounter().GetValue()
}
