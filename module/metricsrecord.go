package minimize

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-minimize/minimize/rules"
)

// record counts what became of a message.
func (m *metrics) record(msg *message, res *result) {
	role := msg.role()
	m.messages.WithLabelValues(res.outcome, role).Inc()
	if res.refusal != nil {
		m.refusals.WithLabelValues(res.refusal.Reason.String()).Inc()
	}
	if msg.disclosure.Position == rules.Egress {
		recordEgress(m.egress, m.egressRefusals, nil, msg, res)
	}
	if res.report == nil {
		return
	}
	m.bytes.WithLabelValues("read").Add(float64(res.report.Read))
	m.bytes.WithLabelValues("written").Add(float64(res.report.Written))
	if res.outcome != outcomeRefused {
		countValues(msg.rules.enforced, res.report, func(category, action string, n uint32) {
			m.values.WithLabelValues(category, action, role).Add(float64(n))
		})
		m.recordUndeclared(res.report)
		m.recordDisclosures(msg, res.report, rules.Pseudonymize)
		m.recordPeople(msg)
	}
}

func (m *metrics) recordUndeclared(report *rules.Report) {
	if len(report.Counts) == 0 {
		return
	}
	for action, n := range report.Counts[0] {
		if n > 0 {
			m.undeclared.WithLabelValues(rules.Action(action).String()).Add(float64(n))
		}
	}
}

// recordDisclosures counts the values that somebody received: those that nothing worse was done to than what is named.
func (m *metrics) recordDisclosures(msg *message, report *rules.Report, worst rules.Action) {
	if msg.disclosure.Position == rules.Inbound { // we received them
		return
	}
	recipient, country := msg.receiver(), msg.destination()
	categories := msg.rules.enforced.Categories()
	for id := 1; id < len(report.Counts); id++ {
		n := uint32(0)
		for action := rules.Keep; action <= worst; action++ {
			n += report.Counts[id][action]
		}
		if n > 0 {
			m.disclosures.WithLabelValues(string(categories[id].Name), recipient, country).Add(float64(n))
		}
	}
}

// receiver is who receives what is sent: an entry of the register, one that is in none, or a caller who reads for us.
func (m *message) receiver() string {
	d := &m.disclosure
	switch {
	case d.Position == rules.Egress:
		return d.Recipient
	case d.Caller.Organisation == "":
		return "callers"
	case m.rules.enforced.Recipient(d.Caller.Organisation) == nil:
		return "other"
	}
	return d.Caller.Organisation
}

// goesTo is the country or zone that what is sent goes to: where the register says that the recipient is or, of a zone and
// without a register, where the caller reads. "": nobody knows.
func (m *message) goesTo() string {
	d := &m.disclosure
	if d.Position == rules.Egress {
		return m.recipientCountry()
	}
	if entry := m.rules.enforced.Recipient(d.Caller.Organisation); entry != nil && (rules.IsCountry(entry.Country) || d.Caller.Country == "") {
		return entry.Country
	}
	return d.Caller.Country
}

// destination is the same for metrics, out of what the rules name.
func (m *message) destination() string {
	switch country := m.goesTo(); {
	case country == "":
		return "unknown"
	case m.rules.places[country]:
		return country
	}
	return "other"
}

// reportRecord counts what report mode let pass: all that was found in it.
func (m *metrics) reportRecord(msg *message, res *result) {
	m.wouldRecord(msg, "report", res)
	if res.report != nil {
		m.recordDisclosures(msg, res.report, rules.Block)
		m.recordPeople(msg)
	}
}

// wouldRecord counts what report mode or candidate rules would have done.
func (m *metrics) wouldRecord(msg *message, because string, res *result) {
	if res == nil {
		return
	}
	role := msg.role()
	m.wouldMessages.WithLabelValues(because, res.outcome, role).Inc()
	if msg.disclosure.Position == rules.Egress {
		recordEgress(m.wouldEgress, m.wouldStay, []string{because}, msg, res)
	}
	if res.refusal != nil {
		m.wouldRefusals.WithLabelValues(because, res.refusal.Reason.String()).Inc()
		return
	}
	if res.report != nil {
		set := msg.rules.enforced
		if because == "candidate" {
			set = msg.rules.candidate
		}
		countValues(set, res.report, func(category, action string, n uint32) {
			m.wouldValues.WithLabelValues(because, category, action, role).Add(float64(n))
		})
	}
}

// recordEgress counts a request to a recipient. Its name is one that the configuration says, its country the register's.
func recordEgress(outcomes, refusals *prometheus.CounterVec, labels []string, msg *message, res *result) {
	labels = append(labels, msg.disclosure.Recipient, msg.recipientCountry())
	outcomes.WithLabelValues(append(labels, res.outcome)...).Inc()
	if res.refusal != nil {
		refusals.WithLabelValues(append(labels, res.refusal.Reason.String())...).Inc()
	}
}

// countValues calls f for every category and action that a report counts.
func countValues(set *rules.Ruleset, report *rules.Report, f func(category, action string, n uint32)) {
	categories := set.Categories()
	for id := 1; id < len(report.Counts); id++ { // row 0 has no name
		if report.Counts[id] == ([rules.ActionCount]uint32{}) {
			continue
		}
		for action, n := range report.Counts[id] {
			if n > 0 {
				f(string(categories[id].Name), rules.Action(action).String(), n)
			}
		}
	}
}
