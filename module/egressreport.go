package minimize

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"

	"github.com/caddy-minimize/minimize/rules"
)

// pass sends a request as it came, to where the recipient is registered, and judges a copy: report mode. The answer passes
// as it comes.
func (p *parcel) pass() (*http.Response, error) {
	w := &would{p: p}
	defer w.end()
	if p.origin == nil {
		w.refusal = p.forbidden()
		return nil, errors.New("the recipient is registered nowhere, or not at this host")
	}
	out := p.req.WithContext(p.req.Context())
	address := *p.req.URL
	out.URL = &address
	out.URL.Scheme, out.Host = p.origin.scheme, p.origin.host
	w.judge(out)
	out = out.WithContext(httptrace.WithClientTrace(out.Context(), &httptrace.ClientTrace{GotConn: w.reached}))
	res, err := p.t.HTTP.Transport.RoundTrip(out)
	if err == nil && p.redirectsAway(res) {
		p.collected().recordWould(&result{outcome: outcomeRefused, status: res.StatusCode, refusal: leadsAway}, nil)
	}
	return res, err
}

// reached notes where the connection leads.
func (w *would) reached(got httptrace.GotConnInfo) {
	guarded, _ := guardOf(got.Conn)
	w.mu.Lock()
	defer w.mu.Unlock()
	if guarded != nil && w.elsewhere == nil {
		w.elsewhere = guarded.lacks()
	}
}

// would is what enforcing would have done with a request.
type would struct {
	p      *parcel
	source io.ReadCloser

	mu        sync.Mutex // the transport reads the body in its own time
	shadow    *shadow    // nil: there is no body to judge
	candidate *shadow
	refusal   *rules.Refusal
	elsewhere *rules.Refusal // of the address that the request went to
	ended     bool
}

// judge judges the head, and has a copy of the body judged as it is sent.
func (w *would) judge(out *http.Request) {
	p := w.p
	switch w.refusal = p.forbidden(); {
	case w.refusal != nil || p.denied != nil:
		return
	case !p.sendable():
		w.refusal = &rules.Refusal{Reason: rules.MediaType}
		return
	case isEarly(p.asked):
		w.refusal = &rules.Refusal{Reason: rules.Unavailable}
		return
	case !p.clear:
		w.refusal = &rules.Refusal{Reason: rules.Unreadable}
		return
	}
	if _, w.refusal = p.judgeHead(p.req.Context()); w.refusal != nil || out.Body == nil || out.Body == http.NoBody {
		return
	}
	kind, refusal := p.kind()
	if w.refusal = refusal; refusal != nil {
		return
	}
	w.shadow = p.message.shadowOf(p.judged, kind)
	if candidate := p.rules.candidate; candidate != nil {
		w.candidate = p.message.shadowOf(candidate.Scope(p.method, p.path).Judge(&p.disclosure), kind)
	}
	w.source, out.Body = out.Body, w
}

// Read hands on what comes and judges a copy.
func (w *would) Read(q []byte) (int, error) {
	n, err := w.source.Read(q)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return n, err
	}
	w.shadow.write(q[:n])
	w.candidate.write(q[:n])
	if err == io.EOF {
		w.shadow.close()
		w.candidate.close()
	}
	return n, err
}

// Close closes the body.
func (w *would) Close() error { return w.source.Close() }

// end records what enforcing would have done.
func (w *would) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	res := w.result()
	w.p.message.recordWould(res, w.candidate.result())
	w.shadow.release()
	w.candidate.release()
}

func (w *would) result() *result {
	res := &result{report: new(rules.Report), refusal: w.refusal}
	addReport(res.report, &w.p.report)
	switch body := w.shadow.result(); {
	case w.p.denied != nil:
		res.outcome = outcomeUnauthorized
	case w.refusal != nil:
		res.outcome = outcomeRefused
	case body == nil:
		res.outcome = outcomeOf(res.report)
	default:
		addReport(res.report, body.report)
		if res.outcome, res.refusal = body.outcome, body.refusal; res.outcome == outcomePassed {
			res.outcome = outcomeOf(res.report)
		}
	}
	if res.refusal == nil && w.elsewhere != nil && w.p.denied == nil {
		res.outcome, res.refusal = outcomeRefused, w.elsewhere
	}
	return res
}
