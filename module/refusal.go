package minimize

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/sjson"
	"go.uber.org/zap"

	"github.com/caddy-minimize/minimize/rules"
)

// refusalStatus is the HTTP status that a reason answers with. 451 is RFC 7725: unavailable for legal reasons.
var refusalStatus = [rules.ReasonCount]int{
	rules.Authority:        http.StatusUnavailableForLegalReasons,
	rules.Country:          http.StatusUnavailableForLegalReasons,
	rules.TransferMissing:  http.StatusUnavailableForLegalReasons,
	rules.RecipientUnknown: http.StatusForbidden,
	rules.Agreement:        http.StatusForbidden,
	rules.NoRule:           http.StatusForbidden,
	rules.CaseMissing:      http.StatusForbidden,
	rules.PolicyVersion:    http.StatusForbidden,
	rules.GuardianMissing:  http.StatusForbidden,
	rules.ConsentMissing:   http.StatusForbidden,
	rules.Objection:        http.StatusForbidden,
	rules.Ended:            http.StatusForbidden,
	rules.Limited:          http.StatusForbidden,
	rules.MediaType:        http.StatusForbidden,
	rules.Over:             http.StatusTooManyRequests,
	rules.SignedBody:       http.StatusUnprocessableEntity,
	rules.Unreadable:       http.StatusBadGateway,
	rules.Unavailable:      http.StatusServiceUnavailable,
}

// refusalDetail is what a reason says to the caller where the refusal itself says nothing more.
var refusalDetail = [rules.ReasonCount]string{
	rules.NoRule:      "no rule permits this for the caller's role and purpose",
	rules.Limited:     "a limit forbids this",
	rules.MediaType:   "the answer's media type cannot be judged",
	rules.Unreadable:  "the answer could not be read",
	rules.Unavailable: "the answer cannot be judged at the moment",
}

// decisionHeader carries the decision id, which the audit log and a problem document's instance show too.
const decisionHeader = "Minimize-Decision"

// refuse answers in place of the upstream. Nothing of the upstream's answer is in it, not even a header.
func (m *message) refuse(w http.ResponseWriter, refusal *rules.Refusal, upstream int) error {
	status := m.statusOf(refusal, upstream)
	detail := refusal.Detail
	if detail == "" {
		detail = refusalDetail[refusal.Reason]
	}
	if status >= 500 || refusal.Reason == rules.MediaType {
		m.h.logger.Warn("refused a message", zap.String("direction", m.direction()), zap.Stringer("reason", refusal.Reason),
			zap.String("detail", detail), zap.String("decision", m.id))
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	return problem(w, m.id, status, detail, refusal)
}

// statusOf is what a refusal answers with. An upstream's error page that cannot be judged stays an error of its kind: an
// outage must not look like a missing right. upstream is 0 where there is no answer. A request that cannot be read is the
// client's fault.
func (m *message) statusOf(refusal *rules.Refusal, upstream int) int {
	status := refusalStatus[refusal.Reason]
	switch {
	case refusal.Reason == rules.Unreadable && m.isRequest():
		return http.StatusBadRequest
	case refusal.Reason == rules.MediaType && upstream >= http.StatusBadRequest:
		return upstream
	case status == 0:
		return http.StatusForbidden
	}
	return status
}

// isRequest reports whether the message is a request: what a recipient answers is collected from it.
func (m *message) isRequest() bool {
	d := &m.disclosure
	return d.Position == rules.Egress || d.Position == rules.Inbound && d.Recipient == ""
}

// allows reports whether a request may be made by this method. Where requests are judged it is no word of the client's own.
// Elsewhere it is in capitals: methods are case-sensitive (RFC 9110 section 9.1), and Symfony, for one, makes a GET of `get`.
func (m *message) allows(method string) bool {
	if m.h.Inbound {
		return slices.Contains(sendable, method) && slices.Contains(sendable, m.method)
	}
	return isCapital(method) && isCapital(m.method) && method != http.MethodConnect && method != http.MethodTrace
}

// isCapital reports whether a method is written as all registered ones are: in capitals, some with a hyphen.
func isCapital(method string) bool {
	return method != "" && !strings.ContainsFunc(method, func(r rune) bool { return (r < 'A' || r > 'Z') && r != '-' })
}

// methodNotAllowed refuses CONNECT, whose tunnel nobody could judge, in HTTP/2 too (RFC 8441), and TRACE, which shows the
// request's own secrets.
func (m *message) methodNotAllowed(w http.ResponseWriter) error {
	refusal := &rules.Refusal{Reason: rules.MediaType, Detail: "this method cannot be judged"}
	m.record(outcomeRefused, &writer{refusal: refusal, status: http.StatusMethodNotAllowed})
	w.Header().Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	return problem(w, m.id, http.StatusMethodNotAllowed, refusal.Detail, refusal)
}

// badPath refuses a path that upstreams read in different ways.
func (m *message) badPath(w http.ResponseWriter) error {
	refusal := &rules.Refusal{Reason: rules.Unreadable, Detail: "the path holds something that backends read in different ways, such as an encoded slash, a dot step or a blank at the end of a step, so the rules for it cannot be chosen"}
	m.record(outcomeRefused, &writer{refusal: refusal, status: http.StatusBadRequest})
	return problem(w, m.id, http.StatusBadRequest, refusal.Detail, refusal)
}

var namesVersion = &rules.Refusal{Reason: rules.Unreadable, Detail: "a condition that names a version cannot be judged: only the condition * goes on"}

// badCondition refuses a write that depends on a version.
func (m *message) badCondition(w http.ResponseWriter) error {
	m.record(outcomeRefused, &writer{refusal: namesVersion, status: http.StatusBadRequest})
	return problem(w, m.id, http.StatusBadRequest, namesVersion.Detail, namesVersion)
}

// tooEarly refuses what was sent before the TLS handshake was complete: whoever recorded it can send it again, and each time
// a recipient would get it. The client repeats it by itself (RFC 8470 section 5.2).
func (m *message) tooEarly(w http.ResponseWriter) error {
	refusal := &rules.Refusal{Reason: rules.Unavailable, Detail: "the request came before the TLS handshake was complete: send it again after it"}
	m.record(outcomeRefused, &writer{refusal: refusal, status: http.StatusTooEarly})
	return problem(w, m.id, http.StatusTooEarly, refusal.Detail, refusal)
}

// isEarly reports whether a request was early data, to us (HTTP/3) or to who passed it on (RFC 8470 section 5.1).
func isEarly(r *http.Request) bool {
	return r.TLS != nil && !r.TLS.HandshakeComplete || len(r.Header["Early-Data"]) > 0
}

// unauthorized answers a token that is invalid or expired, or that nobody could check now. Treating it as none would
// hide the mistake behind a thinner answer.
func (m *message) unauthorized(w http.ResponseWriter) error {
	m.record(outcomeUnauthorized, nil)
	if m.denied == errKeysUnavailable {
		return m.refuse(w, &rules.Refusal{Reason: rules.Unavailable, Detail: m.denied.Error()}, 0)
	}
	w.Header().Set("WWW-Authenticate", bearerChallenge(m.denied))
	return problem(w, m.id, http.StatusUnauthorized, m.denied.Error(), nil)
}

// problem writes a problem document (RFC 9457). All of its texts are fixed phrases or declared names.
func problem(w http.ResponseWriter, id string, status int, detail string, refusal *rules.Refusal) error {
	doc := []byte(`{"type":"about:blank"}`)
	set := func(path string, value any) { doc, _ = sjson.SetBytes(doc, path, value) }
	set("title", http.StatusText(status))
	set("status", status)
	set("detail", detail)
	set("instance", "urn:uuid:"+id)
	if refusal != nil {
		set("reason", refusal.Reason.String())
		if refusal.Rule != "" {
			set("rule", refusal.Rule)
		}
		if refusal.Law != "" {
			set("law", refusal.Law)
		}
		if len(refusal.Categories) > 0 {
			set("categories", refusal.Categories)
		}
		if len(refusal.Selectors) > 0 {
			set("selectors", refusal.Selectors)
		}
	}
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	header.Set("Content-Length", strconv.Itoa(len(doc)))
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set(decisionHeader, id)
	w.WriteHeader(status)
	_, err := w.Write(doc)
	return err
}
