package minimize

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-minimize/minimize/rules"
)

// arrival is a request that comes in for our own backend, judged as what we collect from its caller.
type arrival struct {
	passage
	out     *http.Request // what of it goes on to the inner handlers
	changed atomic.Bool   // something was said of the people in it when there was a connection to send it on
}

// newArrival is the request of the message that its answer is.
func newArrival(answer *message, r *http.Request) *arrival {
	m := *answer
	d := &m.disclosure
	d.Position, d.Download, d.Issues = rules.Inbound, false, nil
	m.people, d.People = nil, nil
	a := &arrival{passage: passage{message: &m, req: r}}
	a.signed = len(r.Header["Signature"]) > 0 || len(r.Header["Signature-Input"]) > 0
	if shared := m.h.app.consents; shared != nil {
		a.people = &witnesses{People: newSending(shared, r.Context())}
		d.People = a.people
	}
	if a.judge(); a.judged.People() == nil {
		a.people = nil // nothing depends on it
	}
	return a
}

// admit judges the request, and makes what of it goes on.
func (a *arrival) admit() *rules.Refusal {
	head := a.trim(a.judged)
	a.report = head.report
	a.judgeBeside()
	if head.refusal != nil {
		return head.refusal
	}
	head.apply(a.req)
	ctx := a.req.Context()
	if a.people != nil {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: a.watch})
	}
	a.out = a.req.WithContext(ctx)
	a.out.Header = a.req.Header.Clone()
	delete(a.out.Header, "Trailer")
	a.out.Trailer, a.out.TransferEncoding = nil, nil
	if refusal := a.judgeBody(a.out); refusal != nil {
		return refusal
	}
	if kept := a.out.Header["Content-Type"]; len(kept) > 0 {
		a.req.Header["Content-Type"] = kept // without the client's boundary: placeholders read it
	}
	switch {
	case a.out.Body == nil:
		a.out.Body = http.NoBody
		a.sum("")
	case a.out.Body == http.NoBody:
		a.sum("")
	case a.body == nil:
		a.sum(outcomeOpaque)
	default:
		a.hideBody()
	}
	return nil
}

// hideBody empties the placeholders that would read what is left of the body past the judging.
func (a *arrival) hideBody() {
	if repl, ok := a.req.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Set("http.request.body", "")
		repl.Set("http.request.body_base64", "")
	}
}

// watch asks once more about the people of the request when there is a connection to write it to: there may have been a
// dial. A connection of HTTP/2 has other requests on it, and is left alone: a body is asked as it is read.
func (a *arrival) watch(got httptrace.GotConnInfo) {
	if secure, ok := got.Conn.(*tls.Conn); ok && secure.ConnectionState().NegotiatedProtocol == "h2" {
		return
	}
	if !a.people.still(func() {}) {
		a.changed.Store(true)
		got.Conn.Close()
	}
}

// late returns why the request, or the rest of it, was not sent, though it was admitted. Nil is no request.
func (a *arrival) late() *rules.Refusal {
	switch {
	case a == nil:
		return nil
	case a.changed.Load():
		return changedMeanwhile()
	}
	return a.cutOff()
}

// refuse answers in place of the backend. A body that an inner reader cut off, such as that of `request_body`, is its error.
func (a *arrival) refuse(w http.ResponseWriter, refusal *rules.Refusal) error {
	if failure, ok := errors.AsType[caddyhttp.HandlerError](a.cut); ok {
		a.sum(outcomeFailed)
		return failure
	}
	a.reject(refusal)
	return a.message.refuse(w, refusal, 0)
}

// end records a request whose body nobody read to its end, and lets go of it.
func (a *arrival) end() {
	if a.flows {
		a.sum(outcomeAborted)
	} else {
		a.sum("")
	}
	a.close()
}

// wouldArrive has a copy of the request judged: report mode.
func wouldArrive(answer *message, r *http.Request) *would {
	a := newArrival(answer, r)
	w := &would{p: &a.passage}
	switch {
	case a.denied != nil:
	case !a.allows(r.Method):
		w.head.refusal = &rules.Refusal{Reason: rules.MediaType}
	case !a.clear:
		w.head.refusal = &rules.Refusal{Reason: rules.Unreadable}
	default:
		head := a.shadowHead(a.judged)
		a.report, w.head.refusal = head.report, head.refusal
		a.judgeBeside()
		if head.refusal == nil {
			w.watch(r)
		}
	}
	return w
}
