package minimize

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/caddy-minimize/minimize/rules"
)

// passage is one request on its way through us, to a recipient or to our own backend.
type passage struct {
	*message
	req    *http.Request         // as it is judged
	people *witnesses            // nil: nothing depends on a store
	lapsed func() *rules.Refusal // why nothing more may leave, though it was judged; nil: what was judged stands
	signed bool                  // by RFC 9421: nothing of it may change
	keeps  bool                  // what comes of its body is kept while it fits the hold, for another attempt
	kept   []byte                // all of its body, from this attempt or an earlier one
	body   *outgoing             // nil: there is none, or it passes unread
	flows  bool                  // a part of it may have left when the rest is refused
	cut    error                 // why its body could not be read to the end of the hold
	report rules.Report          // of the head
	beside *judgedHead           // the head by candidate rules; nil: it is not judged by them

	mu      sync.Mutex // the transport reads the body in its own time
	refusal *rules.Refusal
	told    bool
}

// judgeBody reads the body up to its end or until the hold is full. Within the hold a refusal sends nothing. out is the
// request as it is sent.
func (p *passage) judgeBody(out *http.Request) *rules.Refusal {
	source := io.Reader(p.req.Body)
	switch {
	case p.kept != nil:
		source = bytes.NewReader(p.kept)
	case p.req.Body == nil || p.req.Body == http.NoBody:
		return p.ready(nil)
	}
	kind, refusal := p.kind()
	if kind.unread {
		return p.ready(nil)
	}
	if refusal != nil && p.req.ContentLength > 0 { // without waiting for what `Expect: 100-continue` holds back
		return refusal
	}
	b := &outgoing{p: p, kind: kind, source: source, in: make([]byte, readSize)}
	var n int
	var err error
	b.try(func() { n, err = io.ReadAtLeast(b.source, b.in, 1) })
	switch {
	case b.err != nil:
		return p.unreadable(b.err)
	case err == io.EOF: // of an unknown length, and empty
		out.Body, out.ContentLength = nil, 0
		return p.ready(nil)
	case err != nil:
		return p.unreadable(err)
	case refusal != nil:
		return refusal
	}
	if err := b.open(); err != nil {
		b.Close()
		return refusalOf(err)
	}
	p.body = b
	b.mu.Lock()
	defer b.mu.Unlock()
	b.try(func() {
		b.feed(b.in[:n])
		b.pump()
	})
	if b.err != nil {
		return p.unreadable(b.err)
	}
	b.dress(out)
	p.flows = out.ContentLength < 0
	if p.keeps && b.done {
		p.kept, p.keeps = b.came, false
	}
	return p.ready(out.Body)
}

// unreadable is the refusal of a body that could not be read or judged.
func (p *passage) unreadable(err error) *rules.Refusal {
	p.cut = err
	if refusal, ok := errors.AsType[*rules.Refusal](err); ok {
		return refusal
	}
	return &rules.Refusal{Reason: rules.Unreadable, Detail: "the request was cut off"}
}

// kind says how the request's body is read.
func (p *passage) kind() (requestKind, *rules.Refusal) {
	kind, ok := kindOfRequest(p.req.Header)
	kind.signed = p.signed
	if p.disclosure.Position == rules.Inbound {
		kind.passes = func(mediaType string) bool { return passesUnread(mediaType, p.h.media) }
		kind.unread = !ok && kind.foreign && kind.passes(kind.mediaType)
	} else if kind.coined() {
		ok = false
	}
	if kind.mediaType == "multipart/form-data" {
		kind.own = rand.Text() // the client's can say anything
	}
	if !ok && !kind.unread || p.holds(kind) {
		return requestKind{}, &rules.Refusal{Reason: rules.MediaType, Detail: "the request's media type cannot be judged"}
	}
	coding := p.req.Header["Content-Encoding"]
	switch {
	case p.signed && kind.own != "":
		return requestKind{}, &rules.Refusal{Reason: rules.SignedBody, Detail: "a multipart body of a signed message (RFC 9421) cannot be minimized"}
	case kind.unread || !isEncoded(coding):
	case len(coding) > 1 || decoders[codingOf(coding)] == nil:
		return requestKind{}, &rules.Refusal{Reason: rules.MediaType, Detail: "the request's content encoding cannot be judged: send its body as it is"}
	case p.signed:
		return requestKind{}, &rules.Refusal{Reason: rules.SignedBody, Detail: "an encoded body of a signed message (RFC 9421) cannot be minimized"}
	}
	return kind, nil
}

// holds reports whether somebody wrote more than a media type into it.
func (p *passage) holds(kind requestKind) bool {
	sieve := headerSieve{scope: p.scope, table: p.judged.Table(p.judged.UnknownFacts())}
	digits := 0 // more than a date has are a number, whatever letters stand around it
	for _, c := range kind.mediaType {
		if '0' <= c && c <= '9' {
			digits++
		}
	}
	return digits > 8 || sieve.holds(kind.mediaType, 0, false) || kind.own == "" && sieve.holds(kind.boundary, 0, false)
}

// ready tells that the request is judged as far as it is held. A last look is at whether it may still leave: with a body
// there is one more when that is read.
func (p *passage) ready(body io.Reader) *rules.Refusal {
	if p.lapsed != nil {
		if refusal := p.lapsed(); refusal != nil {
			return refusal
		}
	}
	if body == nil && !p.people.still(func() {}) {
		return errChanged
	}
	return nil
}

// errChanged is shared, so that another attempt can tell it.
var errChanged = &rules.Refusal{Reason: rules.Unavailable, Detail: "something was said of the people in it while it was sent: send it again"}

// cutOff returns why the rest of the body was not sent; nil: it was, so far.
func (p *passage) cutOff() *rules.Refusal {
	if p.body == nil {
		return nil
	}
	refusal, _ := errors.AsType[*rules.Refusal](p.body.failure())
	return refusal
}

// reject notes that the request, or the rest of it, is refused.
func (p *passage) reject(refusal *rules.Refusal) {
	p.mu.Lock()
	p.refusal, p.told = refusal, false // it was judged, and perhaps told of as sent, before it was refused
	p.mu.Unlock()
	if p.flows {
		p.sum(outcomeAborted)
	} else {
		p.sum(outcomeRefused)
	}
}

// close lets go of the request's body.
func (p *passage) close() {
	if p.body != nil {
		p.body.Close()
		p.body.discard()
	}
}

// toldFirst reports whether the request is told of before its head leaves: it has no body; or what cannot be told of may not
// leave, and all of the body is held.
func (p *passage) toldFirst(bare bool) bool { return bare || p.h.app.audit.required && !p.flows }

// sum records what becomes of the request. "" is that it is sent. It returns why it may not be.
func (p *passage) sum(outcome string) *rules.Refusal {
	if p.body == nil {
		return p.tell(outcome, new(rules.Report), nil)
	}
	p.body.mu.Lock()
	defer p.body.mu.Unlock()
	return p.body.tell(outcome)
}

// tell records it, once, with the report of the body, and what candidate rules make of that.
func (p *passage) tell(outcome string, ofBody *rules.Report, candidate *result) *rules.Refusal {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.told {
		return nil
	}
	report := new(rules.Report)
	addReport(report, &p.report)
	addReport(report, ofBody)
	if outcome == "" {
		outcome = outcomeOf(report)
	}
	res := &result{outcome: outcome, refusal: p.refusal, report: report}
	if p.refusal != nil {
		res.status = p.statusOf(p.refusal, 0)
	}
	if outcome == outcomeRefused {
		report.Written = 0 // nothing of it left
	}
	refusal := p.message.recordResult(res, p.beside.and(candidate))
	p.told = refusal == nil
	return refusal
}

// judgedHead is what became of a request's head.
type judgedHead struct {
	report  rules.Report
	refusal *rules.Refusal
}

// and is what became of the request, with its body; nil: there is none. Of no head it is that of the body alone.
func (h *judgedHead) and(body *result) *result {
	if h == nil {
		return body
	}
	res := &result{report: new(rules.Report), refusal: h.refusal}
	addReport(res.report, &h.report)
	switch {
	case h.refusal != nil:
		res.outcome = outcomeRefused
	case body == nil:
		res.outcome = outcomeOf(res.report)
	default:
		addReport(res.report, body.report)
		if res.outcome, res.refusal = body.outcome, body.refusal; res.outcome == outcomePassed {
			res.outcome = outcomeOf(res.report)
		}
	}
	return res
}
