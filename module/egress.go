package minimize

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-minimize/minimize/rules"
)

func init() {
	caddy.RegisterModule(Egress{})
}

// Egress is a transport of reverse_proxy that judges what leaves for a recipient: the request as it is finally sent, and
// where it really goes. What the rules refuse is not sent, and the caller gets a problem document as an ordinary answer.
// The recipient's answer is judged as what we collect from it. It works with the upstream source of the same name only.
type Egress struct {
	// Recipient is the entry of the register that the requests go to.
	Recipient string `json:"recipient,omitempty"`

	// Caller says who sends, and for what purpose.
	Caller *Caller `json:"caller,omitempty"`

	// Subject is whose data a message is where no record of it says so. It may be a request header, such as
	// {http.request.header.X-Subject}, and holds for authenticated callers only. Such a header is not sent on.
	Subject string `json:"subject,omitempty"`

	// Documents names the rule documents that hold on this route. Default: all.
	Documents []string `json:"documents,omitempty"`

	// Mode is "enforce", or "report": then everything is sent as it came, and metrics and audit log tell what enforcing
	// would have done. Default: enforce.
	Mode string `json:"mode,omitempty"`

	// Hold is how many bytes of a body are held until they are judged. Of a body that fits nothing is sent where it is
	// refused; a longer one is sent as it is judged, and what goes wrong then cuts it off. Default: 1 MiB.
	Hold int `json:"hold,omitempty"`

	// HoldAll holds every body until it is judged to its end. It needs MaxBody.
	HoldAll bool `json:"hold_all,omitempty"`

	// MaxBody is the longest body in bytes, with HoldAll. A longer one is refused.
	MaxBody int64 `json:"max_body,omitempty"`

	// ResponseHeaders are headers of the recipient's answers that may pass beside the usual ones, where no personal data
	// is found in them.
	ResponseHeaders []string `json:"response_headers,omitempty"`

	// Opaque lists the recipient's answers that pass unread, each with the reason why they may.
	Opaque []Opaque `json:"opaque,omitempty"`

	// HTTP is Caddy's own transport, as far as it does not say where requests go: no proxies, no HTTP/3, no other TLS
	// names than the registered ones.
	HTTP *reverseproxy.HTTPTransport `json:"http,omitempty"`

	h    *Handler // judges the answers, and has what both share
	rest []string // request headers that tell us who asks, and nobody else

	authenticates bool // callers prove who they are, to us
}

// CaddyModule returns the Caddy module information.
func (Egress) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.transport.minimize",
		New: func() caddy.Module { return new(Egress) },
	}
}

// Provision checks the configuration and compiles the rules for this route.
func (t *Egress) Provision(ctx caddy.Context) error {
	if t.Recipient == "" {
		return errors.New("a recipient is missing: name an entry of `recipients`")
	}
	app, err := ctx.App("minimize")
	if err != nil {
		return err
	}
	t.h = &Handler{
		Mode: t.Mode, Hold: t.Hold, HoldAll: t.HoldAll, MaxBody: t.MaxBody, ResponseHeaders: t.ResponseHeaders,
		app: app.(*App), logger: ctx.Logger(),
	}
	if t.h.Mode == "" {
		t.h.Mode = modeEnforce
	}
	t.h.metrics = t.h.app.metrics
	if err := t.h.Validate(); err != nil {
		return err
	}
	if t.h.caller, err = t.Caller.provision(t.h.app, t.h.logger); err != nil {
		return fmt.Errorf("caller: %w", err)
	}
	if t.h.caller.why == nil {
		return errors.New("a purpose is missing: say why this is sent to the recipient, for instance `purpose advertising`")
	}
	if t.h.subject, err = t.h.caller.parse("subject", t.Subject, subjectSources|1<<sourceHeader); err != nil {
		return err
	}
	if t.h.subject != nil && t.h.caller.id == nil {
		return errors.New("`subject` counts for authenticated callers only: say who they are with `id` in a `caller` block, on an internal site by a constant")
	}
	if t.h.media, err = parseOpaque(t.Opaque); err != nil {
		return err
	}
	if t.h.headers, err = newHeaderRules(t.h); err != nil {
		return err
	}
	t.rest = slices.Clone(t.h.caller.trusted)
	for _, own := range []*template{t.h.subject, t.h.caller.why} {
		if own != nil {
			t.rest = append(t.rest, own.headers()...)
		}
	}
	t.authenticates = t.h.caller.authenticates()
	if err := t.provisionHTTP(ctx); err != nil {
		return err
	}
	t.h.route = &route{
		documents: t.Documents,
		report:    t.h.Mode == modeReport,
		country:   true, // the register says where the data goes
		roles:     t.h.caller.constantRoles(),
		purposes:  t.h.caller.purposes(),
		recipient: t.Recipient,
	}
	if t.h.route.report {
		t.h.logger.Warn("a route to a recipient is in report mode: nothing is minimized there")
	}
	return t.h.app.add(t.h.route)
}

// Cleanup closes idle connections.
func (t *Egress) Cleanup() error {
	if t.HTTP == nil {
		return nil
	}
	return t.HTTP.Cleanup()
}

// sendable are the methods that may be sent. A method is a word of the client's, and could be anything.
var sendable = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
}

// parcel is one request on its way to the recipient.
type parcel struct {
	*message
	t        *Egress
	asked    *http.Request // as it came
	req      *http.Request // as reverse_proxy sends it
	again    bool          // what was read of its body for another attempt is gone
	flows    bool          // a part of it may have left when the rest is refused
	entry    *rules.Recipient
	origin   *origin
	people   *witnesses   // nil: no store is configured
	standing rules.Reason // when the request came
	body     *outgoing    // nil: there is none
	report   rules.Report // of the head

	mu      sync.Mutex // the transport reads the body in its own time
	refusal *rules.Refusal
	told    bool
}

// RoundTrip judges a request, sends what may leave, and judges the answer. A refusal is an ordinary answer: an error would
// count against the upstream.
func (t *Egress) RoundTrip(req *http.Request) (*http.Response, error) {
	p, err := t.newParcel(req)
	if err != nil {
		return nil, err
	}
	if t.h.route.report {
		return p.pass()
	}
	if made := p.admit(); made != nil {
		return made, nil
	}
	// What reverse_proxy wants to hear of the connection stays behind: it would hand 1xx answers on as they come.
	ctx, cancel := context.WithCancel(context.Background())
	stop := context.AfterFunc(req.Context(), cancel)
	release := func() { stop(); cancel() }
	out, refusal := p.judgeHead(ctx)
	if refusal == nil {
		refusal = p.judgeBody(out)
	}
	if refusal != nil {
		release()
		p.close()
		return p.refused(refusal), nil
	}
	if out.Body == nil {
		p.sum("")
		out = out.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: p.watch}))
	}
	p.flows = out.ContentLength < 0
	res, err := t.HTTP.Transport.RoundTrip(out)
	if err != nil {
		release()
		p.close()
		return p.failed(err)
	}
	return p.answer(res, release), nil
}

func (t *Egress) newParcel(req *http.Request) (*parcel, error) {
	asked := req.WithContext(req.Context())
	came, ok := caddyhttp.GetVar(req.Context(), askedVar+t.Recipient).(*asking)
	if !ok {
		return nil, errors.New("the transport minimize needs the upstream source minimize with the same recipient")
	}
	asked.Header = came.header
	p := &parcel{message: t.h.newMessage(asked), t: t, asked: asked, req: req}
	d := &p.disclosure
	d.Position, d.Recipient, d.Issues = rules.Egress, t.Recipient, nil
	if d.People != nil {
		p.people = &witnesses{People: d.People}
		d.People = p.people
	}
	p.entry = p.rules.enforced.Recipient(t.Recipient)
	p.origin = originOf(p.entry, req.URL.Host)
	p.standing = p.rules.enforced.Standing(d)
	if p.judge(); p.judged.People() == nil {
		p.people = nil // nothing depends on it
	}
	p.again, came.read = came.read && req.Body != nil, true
	return p, nil
}

// admit refuses what no judging of its content could let through.
func (p *parcel) admit() *http.Response {
	made := &made{header: make(http.Header)}
	switch refusal := p.forbidden(); {
	case !p.sendable():
		p.message.methodNotAllowed(made)
	case !p.clear:
		p.message.badPath(made)
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

// refused answers in place of the recipient.
func (p *parcel) refused(refusal *rules.Refusal) *http.Response {
	p.mu.Lock()
	p.refusal, p.told = refusal, false // it was judged, and perhaps told of as sent, before the connection refused it
	p.mu.Unlock()
	if p.flows {
		p.sum(outcomeAborted)
	} else {
		p.sum(outcomeRefused)
	}
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
	if p.body != nil {
		if refusal, ok := errors.AsType[*rules.Refusal](p.body.failure()); ok {
			return p.refused(refusal), nil
		}
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

// close lets go of the request's body.
func (p *parcel) close() {
	if p.body != nil {
		p.body.Close()
	}
}

// sum records what became of the request. "" is that it is sent.
func (p *parcel) sum(outcome string) {
	if p.body == nil {
		p.tell(outcome, new(rules.Report))
		return
	}
	p.body.mu.Lock()
	defer p.body.mu.Unlock()
	p.body.tell(outcome)
}

// tell records it, once, with the report of the body.
func (p *parcel) tell(outcome string, ofBody *rules.Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.told {
		return
	}
	p.told = true
	report := new(rules.Report)
	addReport(report, &p.report)
	addReport(report, ofBody)
	if outcome == "" {
		outcome = outcomeOf(report)
	}
	res := &result{outcome: outcome, refusal: p.refusal, report: report}
	if p.refusal != nil {
		res.status = statusOf(p.refusal, 0)
	}
	var candidate *result
	if p.body != nil {
		candidate = p.body.candidate.result()
	}
	p.message.recordResult(res, candidate)
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
	people []*rules.Person
}

// Send remembers who was asked about.
func (w *witnesses) Send(people []*rules.Person, write func() error) (bool, error) {
	sent, err := w.People.Send(people, write)
	if sent && err == nil {
		w.people = append(w.people, people...)
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
	sent, _ := w.People.Send(w.people, func() error { write(); return nil })
	return sent
}

// forget forgets people whose part has left.
func (w *witnesses) forget() {
	if w != nil {
		w.people = w.people[:0]
	}
}

// origin is where a recipient is reached, as its register entry says.
type origin struct {
	scheme string
	host   string // with the port, if one is written: for the Host header
	dial   string // with a port always
}

func originsOf(entry *rules.Recipient) []origin {
	if entry == nil {
		return nil
	}
	var all []origin
	for _, written := range entry.Hosts {
		scheme, host, _ := strings.Cut(written, "://")
		all = append(all, origin{scheme, host, dialOf(scheme, host)})
	}
	return all
}

// originOf is the origin of a dial address. Where a host is registered with and without TLS on one port, TLS it is.
func originOf(entry *rules.Recipient, dial string) *origin {
	var found *origin
	for _, o := range originsOf(entry) {
		if strings.EqualFold(o.dial, dial) && (found == nil || o.scheme == "https") {
			found = &o
		}
	}
	return found
}

// Interface guards
var (
	_ caddy.Provisioner  = (*Egress)(nil)
	_ caddy.CleanerUpper = (*Egress)(nil)
	_ http.RoundTripper  = (*Egress)(nil)
)
