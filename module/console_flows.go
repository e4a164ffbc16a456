package minimize

import (
	"cmp"
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-minimize/minimize/module/console"
)

func (v *visit) flows() (any, error) {
	m := v.h.app.metrics
	group := v.query("group")
	view := console.Flows{Group: group, Groups: []console.Option{{Text: "all, by group"}}}
	name := func(category string) (string, bool) {
		switch {
		case group == "":
			return groupOf(category), true
		case groupOf(category) == group:
			return category, true
		}
		return "", false
	}
	sums := make(map[console.Flow]int64)
	groups := make(map[string]bool)
	for _, s := range seriesOf(m.disclosures) {
		groups[groupOf(s.labels["category"])] = true
		if from, counts := name(s.labels["category"]); counts && s.value > 0 {
			country := s.labels["country"]
			sums[console.Flow{From: from, To: s.labels["recipient"], Country: country, Where: v.h.app.where(country)}] += int64(s.value)
		}
	}
	for flow, n := range sums {
		flow.Count = n
		view.Sent += n
		view.Flows = append(view.Flows, flow)
	}
	slices.SortFunc(view.Flows, console.CompareFlows)
	for _, g := range slices.Sorted(maps.Keys(groups)) {
		view.Groups = append(view.Groups, console.Option{Value: g, Text: g, Chosen: g == group})
	}
	view.Drawing = console.Draw(view.Flows)
	view.Refused = refusedFlows(m)
	view.Withheld = withheld(m.values, name)
	return view, nil
}

// where is a country seen from the rules' home. Rules of several homes have it nowhere abroad that is home to some.
func (a *App) where(country string) string {
	where := "home"
	for _, set := range *a.current.Load() {
		switch home := set.enforced.Home(); {
		case home == "":
		case set.enforced.Within(home, country):
			return "home"
		case country == "unknown":
			where = "unknown"
		default:
			where = "abroad"
		}
	}
	return where
}

// refusedFlows are the messages that did not leave. Of those to our own callers it is only counted why.
func refusedFlows(m *metrics) (flows []console.RefusedFlow) {
	rest := make(map[string]int64)
	for _, s := range seriesOf(m.refusals) {
		rest[s.labels["reason"]] += int64(s.value)
	}
	for _, s := range seriesOf(m.egressRefusals) {
		rest[s.labels["reason"]] -= int64(s.value)
		flows = append(flows, console.RefusedFlow{
			To: s.labels["recipient"], Country: s.labels["country"], Reason: s.labels["reason"], Count: int64(s.value),
		})
	}
	for reason, n := range rest {
		flows = append(flows, console.RefusedFlow{To: "callers", Reason: reason, Count: n})
	}
	flows = slices.DeleteFunc(flows, func(f console.RefusedFlow) bool { return f.Count <= 0 })
	slices.SortFunc(flows, func(a, b console.RefusedFlow) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.To, b.To), cmp.Compare(a.Reason, b.Reason))
	})
	return flows
}

// withheld is what was done to the values of each category that name counts.
func withheld(values prometheus.Collector, name func(category string) (string, bool)) (rows []console.Withheld) {
	for _, s := range seriesOf(values) {
		of, counts := name(s.labels["category"])
		action := slices.Index(console.Actions(), s.labels["action"])
		if !counts || action < 0 {
			continue
		}
		i := slices.IndexFunc(rows, func(w console.Withheld) bool { return w.Name == of })
		if i < 0 {
			i = len(rows)
			rows = append(rows, console.Withheld{Name: of})
		}
		rows[i].Counts[action] += int64(s.value)
	}
	slices.SortFunc(rows, func(a, b console.Withheld) int { return cmp.Compare(a.Name, b.Name) })
	return rows
}
