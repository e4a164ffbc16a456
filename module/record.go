package minimize

import (
	"mime"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-minimize/minimize/module/auditlog"
	"github.com/caddy-minimize/minimize/rules"
)

// The outcomes of a message.
const (
	outcomePassed       = "passed"       // judged, nothing to change
	outcomeMinimized    = "minimized"    // judged and changed
	outcomeOpaque       = "opaque"       // passed unread, as the route says
	outcomeEmpty        = "empty"        // no body
	outcomeRefused      = "refused"      // answered with a problem document
	outcomeAborted      = "aborted"      // cut off after a part was sent
	outcomeFailed       = "failed"       // the upstream gave no answer
	outcomeUnauthorized = "unauthorized" // the caller's token does not count
	outcomeUnjudged     = "unjudged"     // report mode: enforcing would have asked for something else
)

// outcomeBegun is of an entry that stands before the first byte of what flows, where the audit log is required: what was found
// so far. The message's own entry follows.
const outcomeBegun = auditlog.Begun

var outcomes = []string{
	outcomePassed, outcomeMinimized, outcomeOpaque, outcomeEmpty, outcomeRefused, outcomeAborted, outcomeFailed,
	outcomeUnauthorized, outcomeUnjudged,
}

// result is what metrics and audit log learn about a message: never a value, a path or a name taken from a body.
type result struct {
	outcome string
	status  int
	report  *rules.Report
	refusal *rules.Refusal
}

// sends reports whether the message is sent to its end.
func (r *result) sends() bool {
	return r.outcome == outcomeEmpty || r.outcome == outcomePassed || r.outcome == outcomeMinimized || r.outcome == outcomeOpaque
}

// judge chooses the rules for this message, once its status and header are known.
func (m *message) judge() { m.judged = m.scope.Judge(&m.disclosure) }

// newShadow judges by the candidate rules beside the enforced ones; nil where there are none.
func (m *message) newShadow() *shadow {
	if m.rules.candidate == nil || m.canary {
		return nil
	}
	return newShadow(m, m.judgeBeside())
}

// judgeBeside chooses the candidate rules, which reach nobody. There are some.
func (m *message) judgeBeside() *rules.Judge {
	beside := m.disclosure
	beside.Reached = nil
	return m.rules.candidate.ScopeFor(&beside, m.method, m.path).Judge(&beside)
}

// outcome is what became of an answer that was sent to its end.
func (w *writer) outcome() string {
	switch w.state {
	case statePassing:
		return outcomeOpaque
	case stateJudging:
		return outcomeOf(w.body.Report())
	}
	return outcomeEmpty
}

func outcomeOf(r *rules.Report) string {
	if r.Dropped > 0 {
		return outcomeMinimized
	}
	for i := range r.Counts {
		for action, n := range r.Counts[i] {
			if n > 0 && rules.Action(action) != rules.Keep {
				return outcomeMinimized
			}
		}
	}
	return outcomePassed
}

// record tells metrics and audit log about an answer, once: before its last byte leaves, or when it is given up. It returns
// why that byte may not leave; then the refusal is told of in its place.
func (w *writer) record(outcome string) *rules.Refusal {
	if w.told {
		return nil
	}
	refusal := w.m.record(outcome, w)
	w.told = refusal == nil
	return refusal
}

// observe tells how long judging took, without the waiting for a slow client and without candidate rules.
func (w *writer) observe() {
	if w.body != nil && !w.m.canary {
		w.m.h.metrics.engine.Observe((w.spent - w.blocked).Seconds())
	}
}

// record tells metrics and audit log about an enforced message. w is nil where none was written.
func (m *message) record(outcome string, w *writer) *rules.Refusal {
	res := &result{outcome: outcome}
	var candidate *result
	if w != nil {
		res.status, res.refusal = w.status, w.refusal
		if outcome == outcomeRefused && w.m != nil {
			res.status = m.statusOf(w.refusal, w.status)
		}
		res.report = w.report(outcome)
		candidate = w.candidate.result()
	}
	return m.recordResult(res, candidate)
}

// report is what was found in body and header. Of a refused answer no header left.
func (w *writer) report(outcome string) (r *rules.Report) {
	if w.body != nil {
		r = w.body.Report()
	}
	switch {
	case outcome == outcomeRefused && r != nil:
		unsent := *r
		unsent.Written = 0
		return &unsent
	case w.inHeader == nil || len(w.inHeader.Counts) == 0 || outcome == outcomeRefused:
		return r
	}
	all := new(rules.Report)
	addReport(all, w.inHeader)
	if r != nil {
		addReport(all, r)
	}
	return all
}

// recordResult tells about what is sent or was refused, unless it may not be sent because it cannot be told of. A refusal is
// an event, too.
func (m *message) recordResult(res, candidate *result) *rules.Refusal {
	if m.canary {
		return nil
	}
	if refusal := m.h.app.audit.write(m, res, candidate); refusal != nil && res.sends() {
		return refusal
	}
	m.h.metrics.record(m, res)
	m.h.metrics.wouldRecord(m, "candidate", candidate)
	m.h.app.recent.add(m, res, false)
	m.warnStranger(res)
	if res.refusal != nil && m.h.app.events != nil {
		m.emit(res)
	}
	return nil
}

// strangerEvery is how often a line says that somebody reads for an organisation that nobody registered: one caller can ask often.
const strangerEvery = time.Minute

// warnStranger says where the organisation came from that a message was refused for. Which one it is, is a token's word and stands
// nowhere: whose token it was, the audit entry says.
func (m *message) warnStranger(res *result) {
	if res.refusal == nil || res.refusal.Reason != rules.RecipientUnknown || m.organisation() != unregistered {
		return
	}
	now, last := time.Now().UnixNano(), m.h.app.strangerTold.Load()
	if now-last < int64(strangerEvery) || !m.h.app.strangerTold.CompareAndSwap(last, now) {
		return
	}
	m.h.logger.Warn("the organisation of a caller is in no register: the audit entry of this decision has the caller, and the token's issuer knows the organisation",
		zap.String("decision", m.id), zap.String("operation", m.operation()), zap.String("role", m.role()), zap.String("from", m.h.caller.organisation.text))
}

// emit tells Caddy's events app of a refusal.
func (m *message) emit(res *result) {
	m.h.app.events.Emit(m.h.app.ctx, "minimize.refused", map[string]any{
		"decision": m.id, "direction": m.direction(), "operation": m.operation(), "role": m.role(), "purpose": m.purpose(),
		"recipient": m.disclosure.Recipient, "country": m.recipientCountry(), "outcome": res.outcome, "status": res.status,
		"reason": res.refusal.Reason.String(), "rule": res.refusal.Rule, "categories": res.refusal.Categories,
	})
}

// direction is where the message goes, as metrics and audit log call it.
func (m *message) direction() string {
	return [...]string{rules.Response: "response", rules.Inbound: "inbound", rules.Egress: "egress"}[m.disclosure.Position]
}

// recipientCountry is where the register says that the recipient is.
func (m *message) recipientCountry() string {
	if entry := m.rules.enforced.Recipient(m.disclosure.Recipient); entry != nil {
		return entry.Country
	}
	return ""
}

// recordReport tells what enforcing would have done.
func (m *message) recordReport(t *tee) { m.recordWould(t.result(), t.shadows.candidate.result()) }

func (m *message) recordWould(res, candidate *result) {
	if m.canary {
		return
	}
	m.h.metrics.reportRecord(m, res)
	m.h.metrics.wouldRecord(m, "candidate", candidate)
	m.h.app.audit.write(m, res, candidate)
	m.h.app.recent.add(m, res, true)
}

func (t *tee) result() *result {
	switch {
	case t.m.denied != nil:
		return &result{outcome: outcomeUnauthorized, status: t.status}
	case t.refusal != nil:
		return &result{outcome: outcomeRefused, status: t.status, refusal: t.refusal}
	case t.unjudged():
		return &result{outcome: outcomeUnjudged, status: t.status}
	case t.opaque:
		return &result{outcome: outcomeOpaque, status: t.status}
	case t.shadows.enforced != nil:
		res := t.shadows.enforced.result()
		res.status = t.status
		return res
	case !t.ended:
		return &result{outcome: outcomeFailed, status: t.status}
	}
	return &result{outcome: outcomeEmpty, status: t.status}
}

func (s *shadow) result() *result {
	if s == nil {
		return nil
	}
	res := &result{report: s.body.Report(), refusal: s.refusal}
	switch {
	case s.refusal != nil:
		res.outcome = outcomeRefused
	case !s.ended: // the answer was cut off, by its upstream or by the enforced rules
		res.outcome = outcomeFailed
	default:
		res.outcome = outcomeOf(res.report)
	}
	return res
}

// operation is the pattern of the rule documents that the request matched, or "other": never the path itself.
func (m *message) operation() string {
	if op := m.rules.enforced.Operation(m.method, m.path); op != "" {
		return op
	}
	return "other"
}

// purpose is the purpose for the audit log, out of the rules' own.
func (m *message) purpose() string {
	switch p := m.disclosure.Purpose; {
	case p == "":
		return "none"
	case m.rules.enforced.KnowsPurpose(p):
		return p
	}
	return "other"
}

func disposition(header http.Header) string {
	value, _, _ := mime.ParseMediaType(header.Get("Content-Disposition"))
	return value
}
