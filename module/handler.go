package minimize

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/body"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// The modes of a route.
const (
	modeEnforce = "enforce"
	modeReport  = "report"
)

// Handler judges what the handlers behind it answer: it lets through what the caller may read and masks, strips or
// refuses the rest. It stands before the handler that makes the answer, and inside `encode`.
type Handler struct {
	// Caller says who asks and for what purpose. Without it everybody is anonymous and asks for no purpose, so that only
	// what is open to everyone is disclosed.
	Caller *Caller `json:"caller,omitempty"`

	// Documents names the rule documents that hold on this route. Default: all.
	Documents []string `json:"documents,omitempty"`

	// Issues names what this route hands out. Only "auth.token" is known: without it a route's tokens are stripped.
	Issues []string `json:"issues,omitempty"`

	// Mode is "enforce", or "report": then nothing is changed, and metrics and audit log tell what enforcing would have
	// done. Default: enforce.
	Mode string `json:"mode,omitempty"`

	// Inbound judges requests, too, before the handlers behind see them: what nobody may collect from this caller for this
	// purpose, by the rules `to: us`, is taken out of body, query, headers and cookies.
	Inbound bool `json:"inbound,omitempty"`

	// Hold is how many bytes of a body are held until they are judged. A body that fits is sent whole or refused whole; a
	// longer one is sent as it is judged, and what goes wrong then cuts the connection. Default: 1 MiB.
	Hold int `json:"hold,omitempty"`

	// HoldAll holds every body until it is judged to its end. It needs MaxBody.
	HoldAll bool `json:"hold_all,omitempty"`

	// MaxBody is the longest body in bytes, with HoldAll. A longer one is refused.
	MaxBody int64 `json:"max_body,omitempty"`

	// Opaque lists the bodies that pass unread, each with the reason why they may.
	Opaque []Opaque `json:"opaque,omitempty"`

	// Subject is whose data a message is where no record of it says so, for instance {http.request.uri.path.2}. It holds
	// for authenticated callers only.
	Subject string `json:"subject,omitempty"`

	// Download makes every answer of this route a download, for rules that ask. One with Content-Disposition: attachment
	// always is.
	Download bool `json:"download,omitempty"`

	// Cache is the Cache-Control of answers. Default: private, no-store, because an answer is for its caller alone.
	Cache string `json:"cache,omitempty"`

	// ResponseHeaders are response headers that may pass beside the usual ones, where no personal data is found in them.
	ResponseHeaders []string `json:"response_headers,omitempty"`

	app     *App
	logger  *zap.Logger
	metrics *metrics
	route   *route
	caller  *caller
	subject *template
	media   []opaquePattern
	headers headerRules
	issues  []rules.Category
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.minimize",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision checks the configuration and compiles the rules for this route.
func (h *Handler) Provision(ctx caddy.Context) error {
	app, err := ctx.App("minimize")
	if err != nil {
		return err
	}
	h.app, h.logger = app.(*App), ctx.Logger()
	h.metrics = h.app.metrics
	if h.Mode == "" {
		h.Mode = modeEnforce
	}
	if h.caller, err = h.Caller.provision(h.app, h.logger); err != nil {
		return fmt.Errorf("caller: %w", err)
	}
	if h.Caller != nil && h.caller.why == nil {
		return errors.New("caller: a purpose is missing: say why callers of this route ask, for instance `purpose after_sales`")
	}
	if h.subject, err = h.caller.parse("subject", h.Subject, subjectSources); err != nil {
		return err
	}
	if h.media, err = parseOpaque(h.Opaque); err != nil {
		return err
	}
	if h.headers, err = newHeaderRules(h); err != nil {
		return err
	}
	for _, issued := range h.Issues {
		h.issues = append(h.issues, rules.Category(issued))
	}
	h.route = &route{
		documents: h.Documents,
		report:    h.Mode == modeReport,
		handler:   h,
		country:   h.caller.country != nil,
		roles:     h.caller.constantRoles(),
		purposes:  h.caller.purposes(),
	}
	if h.route.report {
		h.logger.Warn("a route is in report mode: nothing is minimized there")
	}
	return h.app.add(h.route)
}

// Validate checks what the parts of the configuration say together.
func (h *Handler) Validate() error {
	switch {
	case h.Mode != modeEnforce && h.Mode != modeReport:
		return fmt.Errorf("unknown mode %q (want enforce or report)", h.Mode)
	case h.HoldAll && h.MaxBody <= 0:
		return errors.New("`hold all` needs `max_body`: say how long a body may be that is held whole")
	case h.MaxBody != 0 && !h.HoldAll:
		return errors.New("`max_body` goes with `hold all`; other bodies take no more memory than `hold`, however long they are")
	case h.HoldAll && h.Hold != 0:
		return errors.New("`hold` is either a size or all")
	case h.Hold < 0 || h.MaxBody < 0:
		return errors.New("`hold` and `max_body` are positive sizes")
	}
	for _, issued := range h.Issues {
		if issued != "auth.token" {
			return fmt.Errorf("unknown `issues %s` (want auth.token)", issued)
		}
	}
	return nil
}

// message is one request and its answer, as far as we judge and record it.
type message struct {
	h          *Handler
	rules      *ruleset
	scope      *rules.Scope
	disclosure rules.Disclosure
	judged     *rules.Judge // by judge, once the answer's header is known
	people     *sending     // nil: no store is configured
	reached    *reached     // whom it tells something of
	id         string       // of the decision
	method     string       // as the client sent it, like the path
	path       string
	clear      bool // the path means the same to every upstream
	host       string
	started    time.Time
	denied     error // why the caller's token does not count; nil: it does, or there is none

	canary       bool // nobody asks, so nobody is told of it
	contradicted bool // the caller's address is in another country than it claims
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	m := h.newMessage(r)
	m.locate(r)
	m.object(r)
	if h.Mode == modeReport {
		return h.report(w, r, next, m)
	}
	return h.enforce(w, r, next, m)
}

// newMessage says who asks, for what, under the rules that are in force now.
func (h *Handler) newMessage(r *http.Request) *message {
	m := &message{h: h, rules: h.app.rules(h.route), id: uuid.NewString(), host: r.Host, started: time.Now(), reached: new(reached)}
	m.method, m.path, m.clear = asSent(r)
	m.scope = m.rules.enforced.AnswerScope(m.method, m.path)
	who := h.caller.identify(r)
	m.denied = who.err
	m.disclosure = rules.Disclosure{
		Position: rules.Response,
		Caller:   h.caller.resolve(who),
		Purpose:  h.caller.purpose(who),
		Download: h.Download,
		Issues:   h.issues,
		Time:     m.started,
		Reached:  m.reached.add,
	}
	if m.disclosure.Caller.ID != "" && countable(r) {
		m.disclosure.Subject = h.subject.one(who)
	}
	m.disclosure.Unnamed = h.subject != nil && m.disclosure.Subject == ""
	m.canary = isCanary(r)
	if m.people = m.store(r.Context()); m.people != nil {
		m.disclosure.People, m.disclosure.Time = m.people, m.people.Now()
	}
	return m
}

// store is what a store knows of people, for this message; nil: none is configured. A canary's knows nobody.
func (m *message) store(ctx context.Context) *sending {
	switch shared := m.h.app.consents; {
	case shared == nil:
		return nil
	case m.canary:
		return &sending{People: nobodys{}, hasty: nobodys{}}
	default:
		return newSending(shared, ctx)
	}
}

func (h *Handler) enforce(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, m *message) error {
	if !m.allows(r.Method) {
		return m.methodNotAllowed(w)
	}
	if !m.clear {
		return m.badPath(w)
	}
	if m.denied != nil {
		return m.unauthorized(w)
	}
	if conditional(r) {
		return m.badCondition(w)
	}
	h.caller.distrust(r)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	rw := newWriter(m, w, r.Method, cancel)
	defer rw.release()
	defer rw.observe()
	asked := r.WithContext(ctx)
	if h.Inbound {
		in := newArrival(m, asked)
		defer in.end()
		if refusal := in.admit(); refusal != nil {
			return in.refuse(w, refusal)
		}
		rw.arrival, asked = in, in.out
	}
	err := rw.run(next, readable(asked))
	if refusal := rw.arrival.late(); refusal != nil {
		if !rw.sent {
			rw.record(outcomeFailed)
			return rw.arrival.refuse(w, refusal)
		}
		rw.arrival.reject(refusal)
	}
	switch {
	case rw.refusal != nil && !rw.sent:
		rw.record(outcomeRefused)
		return m.refuse(w, rw.refusal, rw.status)
	case rw.refusal != nil || rw.broken:
		rw.record(outcomeAborted)
		panic(http.ErrAbortHandler)
	case err != nil && rw.sent:
		rw.record(outcomeAborted)
		panic(http.ErrAbortHandler)
	case err != nil:
		rw.record(outcomeFailed)
		return upstreamError(err)
	}
	rw.record(rw.outcome())
	return nil
}

// limits are what the body rewriter may hold of a message.
func (h *Handler) limits() body.Limits {
	return body.Limits{Hold: h.Hold, HoldAll: h.HoldAll, MaxBody: h.MaxBody, Budget: h.app.budget}
}

func (m *message) role() string { return m.rules.role(&m.disclosure.Caller) }

// role is the caller's role for metrics and audit: always out of the rules' own or one of the words here.
func (s *ruleset) role(c *rules.Caller) string {
	if i := slices.IndexFunc(c.Roles, s.enforced.KnowsRole); i >= 0 {
		return c.Roles[i]
	}
	switch {
	case len(c.Roles) > 0:
		return "other"
	case c.ID != "":
		return "none"
	}
	return "anonymous"
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
