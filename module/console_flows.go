package minimize

import (
	"cmp"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-minimize/minimize/module/console"
)

func (v *visit) flows() (any, error) {
	m := v.h.app.metrics
	sent := readingsOf(m.disclosures)
	groups := make(map[string]bool)
	for _, s := range sent {
		groups[groupOf(s.labels["category"])] = true
	}
	view := console.Flows{Group: v.query("group")}
	view.Groups = chooseGroup(groups, "all, by group", &view.Group)
	sums := make(map[console.Flow]int64)
	for _, s := range sent {
		if from := nameIn(view.Group, s.labels["category"]); from != "" && s.value > 0 {
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
	view.Drawing = console.Draw(view.Flows)
	view.Refused = refusedFlows(m)
	view.Treated = treated(m.values, func(s reading) string { return nameIn(view.Group, s.labels["category"]) })
	view.Roles = treated(m.values, func(s reading) string {
		if nameIn(view.Group, s.labels["category"]) == "" {
			return ""
		}
		return s.labels["role"]
	})
	return view, nil
}

// nameIn is what a category is counted as: its group or, where a group is chosen, itself. "": it is of another one.
func nameIn(group, category string) string {
	switch {
	case group == "":
		return groupOf(category)
	case groupOf(category) == group:
		return category
	}
	return ""
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
	for _, s := range readingsOf(m.refusals) {
		rest[s.labels["reason"]] += int64(s.value)
	}
	for _, s := range readingsOf(m.egressRefusals) {
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

// treated is what was done to the values by the name that each is counted under. "": it is not counted.
func treated(values prometheus.Collector, name func(reading) string) (rows []console.Treated) {
	for _, s := range readingsOf(values) {
		of := name(s)
		action := slices.Index(console.Actions(), s.labels["action"])
		if of == "" || action < 0 {
			continue
		}
		i := slices.IndexFunc(rows, func(t console.Treated) bool { return t.Name == of })
		if i < 0 {
			i = len(rows)
			rows = append(rows, console.Treated{Name: of})
		}
		rows[i].Counts[action] += int64(s.value)
	}
	slices.SortFunc(rows, func(a, b console.Treated) int { return cmp.Compare(a.Name, b.Name) })
	return rows
}
