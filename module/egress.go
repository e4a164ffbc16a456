package minimize

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"slices"

	"github.com/caddyserver/caddy/v2"
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
	for attempt := 1; ; attempt++ {
		res, err := p.send()
		if err == nil {
			return res, nil
		}
		if !errors.Is(err, errChanged) || attempt == maxAttempts || !p.renew() {
			return p.failed(err)
		}
	}
}

// maxAttempts is how often a request is judged and sent again because something was said anew of the people in it.
const maxAttempts = 4

// send judges the request and sends what may leave. Its error is a refusal, or the transport's.
func (p *parcel) send() (*http.Response, error) {
	// What reverse_proxy wants to hear of the connection stays behind: it would hand 1xx answers on as they come.
	ctx, cancel := context.WithCancelCause(context.Background())
	stop := context.AfterFunc(p.req.Context(), func() { cancel(nil) })
	release := func() { stop(); cancel(nil) }
	out, refusal := p.judgeHead(ctx)
	if refusal == nil {
		refusal = p.judgeBody(out)
	}
	p.came.kept = p.kept
	if refusal != nil {
		release()
		p.close()
		return nil, refusal
	}
	p.bare = out.Body == nil
	p.cancel = cancel
	res, err := p.t.HTTP.Transport.RoundTrip(out.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: p.watch})))
	if refusal, ok := errors.AsType[*rules.Refusal](context.Cause(ctx)); ok {
		err = refusal
	}
	if err != nil {
		release()
		p.close()
		if refusal := p.cutOff(); refusal != nil {
			return nil, refusal
		}
		return nil, err
	}
	return p.answer(res, release), nil
}

// Interface guards
var (
	_ caddy.Provisioner  = (*Egress)(nil)
	_ caddy.CleanerUpper = (*Egress)(nil)
	_ http.RoundTripper  = (*Egress)(nil)
)
