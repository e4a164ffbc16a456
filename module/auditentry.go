package minimize

import (
	"strconv"
	"time"

	"github.com/caddy-minimize/minimize/module/auditlog"
	"github.com/caddy-minimize/minimize/rules"
)

// write tells about one message. candidate is what the candidate rules would have done; nil: there are none. It returns why
// the message may not be sent.
func (l *audit) write(m *message, res, candidate *result) *rules.Refusal {
	if l.chain == nil || res.outcome == outcomeEmpty && res.report == nil && m.disclosure.Position != rules.Egress {
		return nil // there is nothing to tell of
	}
	line := newAuditLine(time.Now())
	line.text("decision", m.id)
	line.text("direction", m.direction())
	line.text("operation", m.operation())
	line.text("caller", m.rules.token(auditlog.Caller, m.disclosure.Caller.ID))
	line.text("role", m.role())
	line.text("purpose", m.purpose())
	line.text("country", m.disclosure.Caller.Country)
	line.text("mode", m.h.Mode)
	line.number("status", int64(res.status))
	line.result(m.rules.enforced, res)
	line.text("node", l.node)
	line.text("rules", m.rules.enforced.Hash())
	line.words("case", m.rules.token(auditlog.Case, caseID(&m.disclosure.Caller)))
	if name, entry := m.counterpart(); name != "" {
		line.text("recipient", name)
		if entry != nil {
			line.text("recipient_country", entry.Country)
		}
	}
	if m.organisation() == unregistered {
		line.text("organisation", unregistered)
	}
	if m.judged != nil && res.outcome != outcomeRefused {
		line.words("mechanism", m.judged.Mechanism())
		line.people(m)
	}
	if m.contradicted {
		line.truth("contradicted", true)
	}
	if candidate != nil {
		line.open("candidate")
		line.result(m.rules.candidate, candidate)
		line.close()
	}
	return l.end(line)
}

// begin tells that a message begins to flow, where nothing may leave that is not told of.
func (l *audit) begin(m *message, status int, so *rules.Report) *rules.Refusal {
	if !l.required {
		return nil
	}
	return l.write(m, &result{outcome: outcomeBegun, status: status, report: so}, nil)
}

// result writes the counted answers.
func (l *auditLine) result(set *rules.Ruleset, res *result) {
	l.text("outcome", res.outcome)
	if res.refusal != nil {
		l.text("reason", res.refusal.Reason.String())
		l.text("rule", res.refusal.Rule)
	}
	if res.report == nil {
		return
	}
	l.number("read", res.report.Read)
	l.number("written", res.report.Written)
	l.number("dropped", int64(res.report.Dropped))
	l.open("values")
	countValues(set, res.report, func(category, action string, n uint32) {
		l.next(category, " ", action)
		l.b = strconv.AppendUint(l.b, uint64(n), 10)
	})
	l.close()
}

// people writes how many a message tells of, and of the first who they are, by token, with what each had agreed to where a
// rule asks. Without keys there are consents of nobody.
func (l *auditLine) people(m *message) {
	n := m.reached.count()
	if n == 0 {
		return
	}
	l.number("subjects", int64(n))
	l.next("people")
	l.b = append(l.b, '[')
	between := false
	for _, reached := range m.reached.named() {
		token, agreed := m.rules.token(auditlog.Subject, reached.id), m.judged.Agreed(reached.person)
		if token == "" && agreed == nil {
			continue
		}
		if between {
			l.b = append(l.b, ',')
		}
		between = true
		l.b = append(l.b, '{')
		l.words("token", token)
		if agreed != nil {
			l.consent(agreed)
		}
		l.close()
	}
	l.b = append(l.b, ']')
}

// consent writes which one it is, and not what it says.
func (l *auditLine) consent(agreed *rules.Consent) {
	l.open("consent")
	l.text("given", agreed.Given.UTC().Format(time.RFC3339Nano))
	l.text("level", agreed.Level.String())
	l.number("policy", int64(agreed.Policy))
	l.close()
}

// caseID is the case that authentication says the caller acts in.
func caseID(c *rules.Caller) string {
	if c.Case != nil {
		return c.Case.ID
	}
	return c.CaseID
}

// counterpart is the register's entry that a message goes to or comes from: one that the configuration names, or the caller's
// organisation where it is registered. Any other organisation is a word of a token.
func (m *message) counterpart() (string, *rules.Recipient) {
	name := m.disclosure.Recipient
	if name != "" {
		return name, m.rules.enforced.Recipient(name)
	}
	name = m.disclosure.Caller.Organisation
	if entry := m.rules.enforced.Recipient(name); entry != nil {
		return name, entry
	}
	return "", nil
}

// unregistered is said in place of an organisation that is in no register: it is a token's word, which may be anything.
const unregistered = "unregistered"

// organisation is the register's name of the caller's organisation; "": it has none.
func (m *message) organisation() string {
	name := m.disclosure.Caller.Organisation
	if name != "" && m.rules.enforced.Recipient(name) == nil {
		return unregistered
	}
	return name
}
