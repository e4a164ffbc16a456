package minimize

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-minimize/minimize/rules"
)

// record counts what became of a message.
func (m *metrics) record(msg *message, res *result) {
	role := msg.role()
	msg.rules.series.row(seriesKey{m.messages, res.outcome, role, 1}).add(0, 1, func() prometheus.Counter {
		return m.messages.WithLabelValues(res.outcome, role)
	})
	if res.refusal != nil {
		m.refusals.WithLabelValues(res.refusal.Reason.String()).Inc()
	}
	if msg.disclosure.Position == rules.Egress {
		recordEgress(m.egress, m.egressRefusals, nil, msg, res)
	}
	if res.report == nil {
		return
	}
	m.bytesRead.Add(float64(res.report.Read))
	m.bytesWritten.Add(float64(res.report.Written))
	if res.outcome != outcomeRefused {
		m.recordValues(msg, res.report, role)
		m.recordDisclosures(msg, res.report, rules.Pseudonymize)
		m.recordPeople(msg)
	}
}

func (m *metrics) recordValues(msg *message, report *rules.Report, role string) {
	categories := msg.rules.enforced.Categories()
	values := msg.rules.series.row(seriesKey{m.values, role, "", len(categories) * rules.ActionCount})
	undeclared := msg.rules.series.row(seriesKey{m.undeclared, "", "", rules.ActionCount})
	for id := range report.Counts {
		if unseen(&report.Counts[id]) {
			continue
		}
		for action, n := range report.Counts[id] {
			switch name := rules.Action(action).String(); {
			case n == 0:
			case id == 0:
				undeclared.add(action, n, func() prometheus.Counter { return m.undeclared.WithLabelValues(name) })
			default:
				values.add(id*rules.ActionCount+action, n, func() prometheus.Counter {
					return m.values.WithLabelValues(string(categories[id].Name), name, role)
				})
			}
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
	disclosed := msg.rules.series.row(seriesKey{m.disclosures, recipient, country, len(categories)})
	for id := 1; id < len(report.Counts); id++ {
		if unseen(&report.Counts[id]) {
			continue
		}
		n := uint32(0)
		for action := rules.Keep; action <= worst; action++ {
			n += report.Counts[id][action]
		}
		if n > 0 {
			disclosed.add(id, n, func() prometheus.Counter {
				return m.disclosures.WithLabelValues(string(categories[id].Name), recipient, country)
			})
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

// recordPeople counts whom a message told somebody of: those whose data left, and those that the caller was shown.
func (m *metrics) recordPeople(msg *message) {
	d, people := &msg.disclosure, msg.reached.all()
	if d.Position == rules.Inbound || len(people) == 0 {
		return
	}
	if d.Position == rules.Response && d.Caller.ID != "" {
		m.readers.add(d.Caller.ID, people)
	}
	if abroad, country := msg.h.app.abroad, msg.goesTo(); abroad != nil && msg.rules.abroad(country) {
		abroad.add(country, msg.others(people))
	}
}

// others are the people but for whom the message is sent to: that somebody reads their own data abroad, or a guardian does,
// is no transfer.
func (m *message) others(people []personHash) []personHash {
	d := &m.disclosure
	if d.Position == rules.Egress {
		return people
	}
	own := []personHash{hashPerson(d.Caller.ID)}
	for _, ward := range d.Caller.Guardian {
		own = append(own, hashPerson(ward))
	}
	return slices.DeleteFunc(people, func(p personHash) bool { return slices.Contains(own, p) })
}

// abroad reports whether a country or zone is one outside of home. Without a home every country counts.
func (s *ruleset) abroad(country string) bool {
	home := s.enforced.Home()
	return country != "" && (home == "" || !s.enforced.Within(home, country))
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
		if unseen(&report.Counts[id]) {
			continue
		}
		for action, n := range report.Counts[id] {
			if n > 0 {
				f(string(categories[id].Name), rules.Action(action).String(), n)
			}
		}
	}
}

// unseen reports whether a category was not seen, as most are not in a message.
func unseen(actions *[rules.ActionCount]uint32) bool {
	seen := uint32(0)
	for _, n := range actions {
		seen |= n
	}
	return seen == 0
}
