package minimize

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-minimize/minimize/rules"
)

// parcel is one request on its way to the recipient. What is judged is the request as reverse_proxy sends it.
type parcel struct {
	passage
	t        *Egress
	asked    *http.Request // as it came
	came     *asking
	again    bool                    // what was read of its body for another attempt is gone
	bare     bool                    // no body leaves
	cancel   context.CancelCauseFunc // ends this attempt
	entry    *rules.Recipient
	origin   *origin
	standing rules.Reason // when the request came
}

func (t *Egress) newParcel(req *http.Request) (*parcel, error) {
	asked := req.WithContext(req.Context())
	came, ok := caddyhttp.GetVar(req.Context(), askedVar+t.Recipient).(*asking)
	if !ok {
		return nil, errors.New("the transport minimize needs the upstream source minimize with the same recipient")
	}
	asked.Header = came.header
	p := &parcel{passage: passage{message: t.h.newMessage(asked), req: req, keeps: came.kept == nil, kept: came.kept}, t: t, asked: asked, came: came}
	p.passage.lapsed = p.lapsed
	d := &p.disclosure
	d.Position, d.Recipient, d.Issues = rules.Egress, t.Recipient, nil
	p.scope = p.rules.enforced.ScopeFor(d, p.method, p.path)
	if d.People != nil {
		p.people = &witnesses{People: d.People}
		d.People = p.people
	}
	p.object(asked)
	p.entry = p.rules.enforced.Recipient(t.Recipient)
	p.origin = originOf(p.entry, req.URL.Host)
	p.standing = p.rules.enforced.Standing(d)
	if p.judge(); p.judged.People() == nil {
		p.people = nil // nothing depends on it
	}
	p.again, came.read = came.read && came.kept == nil && req.Body != nil, true
	return p, nil
}

// sendable are the methods that may be sent. A method is a word of the client's, and could be anything.
var sendable = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
}

// admit refuses what no judging of its content could let through.
func (p *parcel) admit() *http.Response {
	made := &made{header: make(http.Header)}
	switch refusal := p.forbidden(); {
	case !p.sendable():
		p.message.methodNotAllowed(made)
	case !p.clear:
		p.message.badPath(made)
	case isEarly(p.asked):
		p.message.tooEarly(made)
	case p.denied != nil:
		p.message.unauthorized(made)
	case refusal != nil:
		return p.refused(refusal)
	default:
		return nil
	}
	return made.response(p.req)
}

func (p *parcel) sendable() bool {
	return slices.Contains(sendable, p.req.Method) && slices.Contains(sendable, p.method)
}

// forbidden returns why nothing may be sent, whatever it is.
func (p *parcel) forbidden() *rules.Refusal {
	switch lacks := p.entry.Lacks(p.disclosure.Time); {
	case len(p.req.Header["Upgrade"]) > 0:
		return &rules.Refusal{Reason: rules.MediaType, Detail: "what follows an upgrade cannot be judged"}
	case lacks != rules.Permitted:
		return &rules.Refusal{Reason: lacks, Detail: lacking}
	case p.origin == nil:
		return &rules.Refusal{Reason: rules.RecipientUnknown, Detail: "the recipient is not registered at this host"}
	case p.again:
		return &rules.Refusal{Reason: rules.Unavailable, Detail: "the recipient could not be reached, and the body cannot be sent a second time"}
	}
	return nil
}

const lacking = "the recipient is not registered, is suspended, or its contract is not in force"

// lapsed returns why nothing more may leave: by the rules that are in force now, at this moment.
func (p *parcel) lapsed() *rules.Refusal {
	d := p.disclosure
	d.Time = p.t.now()
	now := p.t.h.app.rules(p.t.h.route).enforced
	if lacks := now.Recipient(p.t.Recipient).Lacks(d.Time); lacks != rules.Permitted {
		return &rules.Refusal{Reason: lacks, Detail: lacking}
	}
	if p.standing == rules.Permitted {
		if lacks := now.Standing(&d); lacks != rules.Permitted {
			return &rules.Refusal{Reason: lacks, Detail: "what allowed this transfer has ended"}
		}
	}
	return nil
}

// now is the store's time where there is a store: it never goes back.
func (t *Egress) now() time.Time {
	if shared := t.h.app.consents; shared != nil {
		return shared.Now()
	}
	return time.Now()
}

// renew makes the request ready to be judged again by what is known now. It reports false where what came of its body is
// gone.
func (p *parcel) renew() bool {
	if p.body != nil && p.kept == nil {
		return false
	}
	p.people.forget()
	p.reached.forget()
	p.body, p.report, p.flows = nil, rules.Report{}, false
	return true
}

// refused answers in place of the recipient.
func (p *parcel) refused(refusal *rules.Refusal) *http.Response {
	p.reject(refusal)
	made := &made{header: make(http.Header)}
	p.message.refuse(made, refusal, 0)
	return made.response(p.req)
}

// failed sorts why there is no answer: what was refused on the way has its status, anything else is the upstream's fault,
// and said without its words.
func (p *parcel) failed(err error) (*http.Response, error) {
	if refusal, ok := errors.AsType[*rules.Refusal](err); ok {
		return p.refused(refusal), nil
	}
	if refusal := p.lapsed(); refusal != nil {
		return p.refused(refusal), nil
	}
	p.sum(outcomeFailed)
	if p.req.Context().Err() != nil {
		return nil, context.Canceled // reverse_proxy asks for this one
	}
	if dial, ok := errors.AsType[reverseproxy.DialError](err); ok {
		return nil, dial
	}
	return nil, errors.New("the recipient gave no answer that can be read")
}

// addReport adds up what was decided of the parts of a message.
func addReport(to, more *rules.Report) {
	for c, actions := range more.Counts {
		for len(to.Counts) <= c {
			to.Counts = append(to.Counts, [rules.ActionCount]uint32{})
		}
		for action, n := range actions {
			to.Counts[c][action] += n
		}
	}
	to.Dropped += more.Dropped
	to.Read += more.Read
	to.Written += more.Written
}

// witnesses remembers whom the store was asked about for what did not leave yet.
type witnesses struct {
	rules.People

	mu     sync.Mutex // a connection is sought while another one may still read the body
	people []*rules.Person
}

// Send remembers who was asked about.
func (w *witnesses) Send(people []*rules.Person, write func() error) (bool, error) {
	sent, err := w.People.Send(people, write)
	if sent && err == nil {
		w.mu.Lock()
		w.people = append(w.people, people...)
		w.mu.Unlock()
	}
	return sent, err
}

// still calls write unless something is known anew of the people that it tells of: between judging and sending there may
// be a dial.
func (w *witnesses) still(write func()) bool {
	if w == nil {
		write()
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	sent, _ := w.People.Send(w.people, func() error { write(); return nil })
	return sent
}

// forget forgets people whose part has left.
func (w *witnesses) forget() {
	if w != nil {
		w.mu.Lock()
		w.people = w.people[:0]
		w.mu.Unlock()
	}
}
