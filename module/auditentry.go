package minimize

import (
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-minimize/minimize/module/auditlog"
	"github.com/caddy-minimize/minimize/rules"
)

// mostFields is how many an entry has at most.
const mostFields = 24

// write tells about one message. candidate is what the candidate rules would have done; nil: there are none. It returns why
// the message may not be sent.
func (l *audit) write(m *message, res, candidate *result) *rules.Refusal {
	if l.core == nil || res.outcome == outcomeEmpty && m.disclosure.Position != rules.Egress {
		return nil
	}
	fields := append(make([]zap.Field, 0, mostFields),
		zap.String("decision", m.id),
		zap.String("direction", m.direction()),
		zap.String("operation", m.operation()),
		zap.String("caller", m.rules.token(auditlog.Caller, m.disclosure.Caller.ID)),
		zap.String("role", m.role()),
		zap.String("purpose", m.purpose()),
		zap.String("country", m.disclosure.Caller.Country),
		zap.String("mode", m.h.Mode),
		zap.Int("status", res.status),
		zap.Inline(auditResult{m.rules.enforced, res}),
		zap.String("node", l.node),
		zap.String("rules", m.rules.enforced.Hash()),
	)
	if token := m.rules.token(auditlog.Case, caseID(&m.disclosure.Caller)); token != "" {
		fields = append(fields, zap.String("case", token))
	}
	if name, entry := m.counterpart(); name != "" {
		fields = append(fields, zap.String("recipient", name))
		if entry != nil {
			fields = append(fields, zap.String("recipient_country", entry.Country))
		}
	}
	if m.judged != nil && res.outcome != outcomeRefused {
		fields = append(fields, m.told()...)
	}
	if m.contradicted {
		fields = append(fields, zap.Bool("contradicted", true))
	}
	if candidate != nil {
		fields = append(fields, zap.Object("candidate", auditResult{m.rules.candidate, candidate}))
	}
	return l.line(fields)
}

// told is what lets data leave for another country, and whom the message tells of.
func (m *message) told() (fields []zap.Field) {
	if mechanism := m.judged.Mechanism(); mechanism != "" {
		fields = append(fields, zap.String("mechanism", mechanism))
	}
	if n := m.reached.count(); n > 0 {
		fields = append(fields, zap.Int("subjects", n), zap.Array("people", auditPeople{m}))
	}
	return fields
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

// auditPeople are the first data subjects that a message tells of: by token, and with what each had agreed to where a rule asks.
type auditPeople struct{ m *message }

// MarshalLogArray writes them. Without keys there are consents of nobody.
func (p auditPeople) MarshalLogArray(enc zapcore.ArrayEncoder) error {
	for _, reached := range p.m.reached.named() {
		token, agreed := p.m.rules.token(auditlog.Subject, reached.id), p.m.judged.Agreed(reached.person)
		if token == "" && agreed == nil {
			continue
		}
		err := enc.AppendObject(zapcore.ObjectMarshalerFunc(func(enc zapcore.ObjectEncoder) error {
			if token != "" {
				enc.AddString("token", token)
			}
			if agreed != nil {
				return enc.AddObject("consent", auditConsent{agreed})
			}
			return nil
		}))
		if err != nil {
			return err
		}
	}
	return nil
}

type auditConsent struct{ agreed *rules.Consent }

// MarshalLogObject writes which consent it is, and not what it says.
func (c auditConsent) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("given", c.agreed.Given.UTC().Format(time.RFC3339Nano))
	enc.AddString("level", c.agreed.Level.String())
	enc.AddInt("policy", c.agreed.Policy)
	return nil
}

type auditResult struct {
	set *rules.Ruleset
	res *result
}

// MarshalLogObject writes the counted answers.
func (r auditResult) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("outcome", r.res.outcome)
	if r.res.refusal != nil {
		enc.AddString("reason", r.res.refusal.Reason.String())
		enc.AddString("rule", r.res.refusal.Rule)
	}
	if r.res.report == nil {
		return nil
	}
	enc.AddInt64("read", r.res.report.Read)
	enc.AddInt64("written", r.res.report.Written)
	enc.AddInt("dropped", r.res.report.Dropped)
	return enc.AddObject("values", zapcore.ObjectMarshalerFunc(func(enc zapcore.ObjectEncoder) error {
		countValues(r.set, r.res.report, func(category, action string, n uint32) {
			enc.AddUint32(category+" "+action, n)
		})
		return nil
	}))
}
