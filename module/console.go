package minimize

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-minimize/minimize/module/console"
)

func init() {
	caddy.RegisterModule(Console{})
}

// Console serves a web page for those who answer for the data: what is decided now, what the rules come to, where data
// goes, and the proof of it. It shows counts, rules and decisions, and no backend's data.
type Console struct {
	// Caller says who looks, as in `minimize`. It needs an id and a role, and no purpose.
	Caller *Caller `json:"caller,omitempty"`

	// Roles are those whose members may see the console. Anybody else gets 403, and who shows no valid token 401, where Caller
	// reads tokens. At least one is needed.
	Roles []string `json:"roles,omitempty"`

	// People are those of Roles whose members may also search for a person: whose consents they are, and what was
	// disclosed about them. Default: nobody.
	People []string `json:"people,omitempty"`

	app        *App
	logger     *zap.Logger
	caller     *caller
	sameOrigin *http.CrossOriginProtection
}

// CaddyModule returns the Caddy module information.
func (Console) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.minimize_console",
		New: func() caddy.Module { return new(Console) },
	}
}

// Provision checks the configuration.
func (h *Console) Provision(ctx caddy.Context) error {
	app, err := ctx.App("minimize")
	if err != nil {
		return err
	}
	h.app, h.logger, h.sameOrigin = app.(*App), ctx.Logger(), http.NewCrossOriginProtection()
	if h.caller, err = h.Caller.provision(h.app, h.logger); err != nil {
		return fmt.Errorf("caller: %w", err)
	}
	if err := h.check(); err != nil {
		return err
	}
	h.app.recent = recentMessages
	return nil
}

// check reports what would show the console to everybody, or to nobody.
func (h *Console) check() error {
	stranger := func(role string) bool { return !slices.Contains(h.Roles, role) }
	switch {
	case len(h.Roles) == 0:
		return errors.New("nobody may see the console: name the roles that may, for instance `roles security privacy`")
	case slices.ContainsFunc(h.People, stranger):
		return fmt.Errorf("people: the role %q may not see the console; add it to `roles`", h.People[slices.IndexFunc(h.People, stranger)])
	case h.caller.id == nil:
		return errors.New("caller: an id is missing: without one nobody is known to be anybody; add `id {claim.sub}`")
	case h.caller.id.constant():
		return errors.New("caller: a constant id would make everybody known; add `id {claim.sub}`")
	case h.caller.role == nil:
		return errors.New("caller: a role is missing; add `role {claim.role}`")
	}
	return nil
}

// visit is one request for a page by somebody who may see it.
type visit struct {
	h      *Console
	r      *http.Request
	id     string // of the caller
	role   string // of the console's, the caller's first
	people bool   // may search for a person
	now    time.Time
}

// consolePage gathers what a page shows: the view that its template expects, or a *pageError.
type consolePage struct {
	posts  bool // it takes forms by POST
	gather func(*visit) (any, error)
}

// consolePages are the pages by their names, which console.Pages has, too.
var consolePages = map[string]consolePage{
	"now":      {gather: (*visit).recent},
	"matrix":   {gather: (*visit).matrix},
	"try":      {gather: (*visit).try, posts: true},
	"flows":    {gather: (*visit).flows},
	"evidence": {gather: (*visit).evidence, posts: true},
	"consents": {gather: (*visit).consents, posts: true},
}

// pageError is why a page is not shown: a fixed text, never what was asked for.
type pageError struct {
	status int
	text   string
}

func (e *pageError) Error() string { return e.text }

var (
	errUnsigned  = &pageError{http.StatusUnauthorized, "Sign in to see this page"}
	errUnchecked = &pageError{http.StatusServiceUnavailable, "Who you are cannot be checked at the moment"}
	errNoPage    = &pageError{http.StatusNotFound, "There is no such page"}
	errPageVerb  = &pageError{http.StatusMethodNotAllowed, "A page cannot be asked for like that"}
	errNotYours  = &pageError{http.StatusForbidden, "You may not see this page"}
	errForeign   = &pageError{http.StatusForbidden, "This form came from another site"}
	errPageWrong = &pageError{http.StatusInternalServerError, "This page could not be made"}
)

// ServeHTTP answers every request: what comes after this handler is never asked. Links are relative, so that it can stand
// below any prefix: the last step of the path is the page, and "static" before it a file.
func (h *Console) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	consoleHead(w.Header())
	dir, name := path.Split(r.URL.Path)
	if path.Base(dir) == "static" {
		return h.asset(w, r, name)
	}
	v, denied, wrong := h.visit(r)
	if wrong != nil {
		if wrong == errUnsigned {
			w.Header().Set("WWW-Authenticate", bearerChallenge(denied))
		}
		return h.refuse(w, r, wrong)
	}
	if name == "" {
		name = console.Pages[0].Name
	}
	page, known := consolePages[name]
	frame, _ := console.Find(name)
	switch {
	case !known:
		return h.refuse(w, r, errNoPage)
	case r.Method == http.MethodPost && page.posts:
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", page.allow())
		return h.refuse(w, r, errPageVerb)
	}
	if h.sameOrigin.Check(r) != nil {
		return h.refuse(w, r, errForeign)
	}
	view, err := page.gather(v)
	if err != nil {
		return h.refuse(w, r, err)
	}
	var made bytes.Buffer
	if err := console.Render(&made, console.Frame{Page: frame, Role: v.role}, view); err != nil {
		h.logger.Error("making a page of the console", zap.String("page", name), zap.Error(err))
		return h.refuse(w, r, errPageWrong)
	}
	return sendPage(w, r, http.StatusOK, made.Bytes())
}

func (p consolePage) allow() string {
	if p.posts {
		return "GET, HEAD, POST"
	}
	return "GET, HEAD"
}

// visit says who looks, or why they may not, and what was wrong with their token.
func (h *Console) visit(r *http.Request) (v *visit, denied error, wrong *pageError) {
	who := h.caller.identify(r)
	is := h.caller.resolve(who)
	i := slices.IndexFunc(is.Roles, func(role string) bool { return slices.Contains(h.Roles, role) })
	why := ""
	switch {
	case who.err == errKeysUnavailable:
		why, wrong = "its token cannot be checked", errUnchecked
	case who.err != nil:
		why, wrong = "its token does not count", errUnsigned
	case is.ID == "" && h.caller.tokens != nil && who.claims == nil:
		why, wrong = "it showed no token", errUnsigned
	case is.ID == "": // the site's authentication let it pass; how it asks who somebody is, only it knows
		why, wrong = "nobody says who it is", errNotYours
	case i < 0:
		why, wrong = "its role is none of them", errNotYours
	}
	if wrong != nil {
		h.logger.Warn("somebody was not let into the console", zap.String("why", why), zap.Error(who.err))
		return nil, who.err, wrong
	}
	searches := slices.ContainsFunc(is.Roles, func(role string) bool { return slices.Contains(h.People, role) })
	return &visit{h: h, r: r, id: is.ID, role: is.Roles[i], people: searches, now: time.Now()}, nil, nil
}

// consoleHead keeps a page to itself: nothing of another site runs in it, no other site has it in a frame, nobody keeps it.
func consoleHead(header http.Header) {
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// asset serves a file of the console to everybody: it is in every copy of the program, and the page of a refusal needs it.
func (h *Console) asset(w http.ResponseWriter, r *http.Request, name string) error {
	file, found := console.FindAsset(name)
	switch {
	case !found:
		return h.refuse(w, r, errNoPage)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", consolePage{}.allow())
		return h.refuse(w, r, errPageVerb)
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable") // its name has its hash
	w.Header().Set("Content-Type", file.Type)
	return send(w, r, http.StatusOK, file.Data)
}

func (h *Console) refuse(w http.ResponseWriter, r *http.Request, err error) error {
	refusal, ok := errors.AsType[*pageError](err)
	if !ok {
		h.logger.Warn("a page of the console could not be made", zap.Error(err))
		refusal = errPageWrong
	}
	var made bytes.Buffer
	if err := console.Refuse(&made, console.Refusal{Status: refusal.status, Text: refusal.text}); err != nil {
		return err
	}
	return sendPage(w, r, refusal.status, made.Bytes())
}

func sendPage(w http.ResponseWriter, r *http.Request, status int, page []byte) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	return send(w, r, status, page)
}

func send(w http.ResponseWriter, r *http.Request, status int, body []byte) error {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	_, err := w.Write(body)
	return err
}

// query is a parameter of a page's form, without what surrounds it.
func (v *visit) query(name string) string { return strings.TrimSpace(v.r.URL.Query().Get(name)) }

// Interface guards
var (
	_ caddy.Provisioner           = (*Console)(nil)
	_ caddyhttp.MiddlewareHandler = (*Console)(nil)
)
