package minimize

import (
	"errors"
	"net/http"
	"net/http/httptrace"

	"github.com/caddy-minimize/minimize/rules"
)

// pass sends a request as it came, to where the recipient is registered, and judges a copy: report mode. The answer passes
// as it comes.
func (p *parcel) pass() (*http.Response, error) {
	w := &would{p: &p.passage}
	defer w.end()
	if p.origin == nil {
		w.head.refusal = p.forbidden()
		return nil, errors.New("the recipient is registered nowhere, or not at this host")
	}
	out := p.req.WithContext(p.req.Context())
	address := *p.req.URL
	out.URL = &address
	out.URL.Scheme, out.Host = p.origin.scheme, p.origin.host
	if w.head.refusal = p.wouldRefuse(); w.head.refusal == nil && p.denied == nil {
		w.watch(out)
	}
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

// wouldRefuse judges the head.
func (p *parcel) wouldRefuse() *rules.Refusal {
	refusal := p.forbidden()
	switch {
	case refusal != nil || p.denied != nil:
	case !p.sendable():
		refusal = &rules.Refusal{Reason: rules.MediaType}
	case isEarly(p.asked):
		refusal = &rules.Refusal{Reason: rules.Unavailable}
	case !p.clear:
		refusal = &rules.Refusal{Reason: rules.Unreadable}
	default:
		_, refusal = p.judgeHead(p.req.Context())
	}
	return refusal
}
