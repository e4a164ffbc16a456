package minimize

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-minimize/minimize/rules"
)

// arrival is a request that comes in for our own backend, judged as what we collect from its caller.
type arrival struct {
	passage
	out    *http.Request           // what of it goes on to the inner handlers
	cancel context.CancelCauseFunc // of what goes on
}

// newArrival is the request of the message that its answer is.
func newArrival(answer *message, r *http.Request) *arrival {
	m := *answer
	d := &m.disclosure
	d.Position, d.Download, d.Issues = rules.Inbound, false, nil
	m.scope = m.rules.enforced.ScopeFor(d, m.method, m.path)
	m.people, d.People = nil, nil
	m.reached = new(reached)
	d.Reached = m.reached.add
	a := &arrival{passage: passage{message: &m, req: r}}
	a.signed = len(r.Header["Signature"]) > 0 || len(r.Header["Signature-Input"]) > 0
	if known := m.store(r.Context()); known != nil {
		a.people = &witnesses{People: known}
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
	a.judgeHeadBeside()
	if head.refusal != nil {
		return head.refusal
	}
	head.apply(a.req)
	a.out = a.req.WithContext(a.watched(a.req.Context()))
	a.out.Header = a.req.Header.Clone()
	delete(a.out.Header, "Trailer")
	a.out.Trailer, a.out.TransferEncoding = nil, nil
	if refusal := a.judgeBody(a.out); refusal != nil {
		return refusal
	}
	if kept := a.out.Header["Content-Type"]; len(kept) > 0 {
		a.req.Header["Content-Type"] = kept // without the client's boundary: placeholders read it
	}
	if a.out.Body == nil {
		a.out.Body = http.NoBody
	}
	bare := a.body == nil || a.out.Body == http.NoBody
	if !bare {
		a.hideBody()
	}
	if a.toldFirst(bare) && (a.people == nil || a.h.app.audit.required) { // there is no later look, or it may never come
		return a.sum(a.outcome())
	}
	return nil
}

// outcome is what became of a request that was not refused.
func (a *arrival) outcome() string {
	if a.out != nil && a.out.Body != http.NoBody && a.body == nil {
		return outcomeOpaque
	}
	return ""
}

// hideBody empties the placeholders that would read what is left of the body past the judging.
func (a *arrival) hideBody() {
	if repl, ok := a.req.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Set("http.request.body", "")
		repl.Set("http.request.body_base64", "")
	}
}

// watched has the people of the request asked about once more when there is a connection to write it to: there may have been
// a dial, and only a body is asked as it is read.
func (a *arrival) watched(ctx context.Context) context.Context {
	if a.people == nil {
		return ctx
	}
	ctx, a.cancel = context.WithCancelCause(ctx)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: a.watch})
}

// watch ends a request that may not be sent any more. On HTTP/2 net/http looks at the context right before it writes a head,
// and others are on the connection; on HTTP/1 it writes first, so that the connection goes. HTTP/2 without TLS cannot be told
// from it here: then the others have to be sent again.
func (a *arrival) watch(got httptrace.GotConnInfo) {
	var refusal *rules.Refusal
	switch still := a.people.still(func() {}); {
	case !still:
		refusal = errChanged
	case a.toldFirst(a.body == nil || a.out.Body == http.NoBody): // who has a request whole can count on its audit line
		refusal = a.sum(a.outcome())
	}
	if refusal != nil {
		a.cancel(refusal)
		if _, shared := guardOf(got.Conn); !shared {
			got.Conn.Close()
		}
	}
}

// late returns why the request, or the rest of it, was not sent, though it was admitted. Nil is no request.
func (a *arrival) late() *rules.Refusal {
	if a == nil {
		return nil
	}
	if refusal, ok := errors.AsType[*rules.Refusal](context.Cause(a.out.Context())); ok {
		return refusal
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
		a.sum(a.outcome())
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
		a.judgeHeadBeside()
		if head.refusal == nil {
			w.watch(r)
		}
	}
	return w
}
