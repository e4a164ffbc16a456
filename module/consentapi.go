package minimize

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/caddy-minimize/minimize/module/consentstore"
	"github.com/caddy-minimize/minimize/rules"
)

func init() {
	caddy.RegisterModule(ConsentAPI{})
}

// ConsentAPI serves what data subjects agreed to: they, their guardians, and the roles that manage consents read and
// change it there. Its resources are relative to where it stands; openapi.json among them describes them all.
type ConsentAPI struct {
	// Caller says who asks, as in `minimize`. It needs an id, and no purpose.
	Caller *Caller `json:"caller,omitempty"`

	// Manage are the roles whose members may read and change the records of every data subject, and the cases.
	Manage []string `json:"manage,omitempty"`

	// Documents names the rule documents with the purposes and recipients that can be agreed to. Default: all.
	Documents []string `json:"documents,omitempty"`

	app    *App
	logger *zap.Logger
	route  *route
	caller *caller
}

// CaddyModule returns the Caddy module information.
func (ConsentAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.minimize_consent",
		New: func() caddy.Module { return new(ConsentAPI) },
	}
}

// Provision checks the configuration.
func (h *ConsentAPI) Provision(ctx caddy.Context) error {
	app, err := ctx.App("minimize")
	if err != nil {
		return err
	}
	h.app, h.logger = app.(*App), ctx.Logger()
	if h.app.consents == nil {
		return errors.New("there is no consent store: add `consent sqlite consent.db` to the global option minimize")
	}
	if h.caller, err = h.Caller.provision(h.app, h.logger); err != nil {
		return fmt.Errorf("caller: %w", err)
	}
	if h.caller.id == nil {
		return errors.New("caller: an id is missing: without one nobody is a data subject, and nobody made a change; add `id {claim.sub}`")
	}
	if h.caller.id.constant() {
		return errors.New("caller: a constant id would make every caller the same data subject; add `id {claim.sub}`")
	}
	roles := slices.Concat(h.caller.constantRoles(), h.Manage) // a role with a mistake in its name is nobody's
	h.route = &route{documents: h.Documents, api: true, country: true, roles: roles}
	return h.app.add(h.route)
}

// resource is a kind of path and what can be done there. A star is a step of any text.
type resource struct {
	path    string
	methods map[string]func(*call) (any, error)
}

var resources = []resource{
	{"openapi.json", methods{get: (*call).describe}},
	{"subjects/*", methods{get: (*call).read, put: (*call).profile, del: (*call).end}},
	{"subjects/*/history", methods{get: (*call).history}},
	{"subjects/*/consents/*", methods{put: (*call).give, del: (*call).withdraw}},
	{"subjects/*/objections/*", methods{put: (*call).object, del: (*call).unobject}},
	{"subjects/*/restrictions/*", methods{put: (*call).restrict, del: (*call).unrestrict}},
	{"subjects/*/restrictions", methods{put: (*call).restrict, del: (*call).unrestrict}},
	{"cases/*", methods{get: (*call).readCase, put: (*call).openCase, del: (*call).closeCase}},
}

type methods = map[string]func(*call) (any, error)

const get, put, del = http.MethodGet, http.MethodPut, http.MethodDelete

// allow is the Allow header of a resource.
func (r *resource) allow() string {
	allowed := []string{http.MethodOptions}
	for method := range r.methods {
		if allowed = append(allowed, method); method == get {
			allowed = append(allowed, http.MethodHead)
		}
	}
	slices.Sort(allowed)
	return strings.Join(allowed, ", ")
}

// find returns the resource of a path, and what stands for its stars. Steps are taken as they were sent, so that an id
// may have an encoded slash.
func find(escaped string) (*resource, []string) {
	steps := strings.Split(strings.Trim(escaped, "/"), "/")
	for i := range resources {
		if stars, ok := match(strings.Split(resources[i].path, "/"), steps); ok {
			return &resources[i], stars
		}
	}
	return nil, nil
}

func match(pattern, steps []string) (stars []string, ok bool) {
	if len(pattern) != len(steps) {
		return nil, false
	}
	for i, p := range pattern {
		step, err := url.PathUnescape(steps[i])
		switch {
		case err != nil || step == "":
			return nil, false
		case p == "*" && consentstore.ValidID(step):
			stars = append(stars, step)
		case p != steps[i]:
			return nil, false
		}
	}
	return stars, true
}

// call is one request to the API.
type call struct {
	h        *ConsentAPI
	r        *http.Request
	rules    *ruleset
	caller   rules.Caller
	denied   error // why the token does not count
	decision string
	deadline time.Time // for the store
	stars    []string
}

// ServeHTTP answers every request: what comes after this handler is never asked.
func (h *ConsentAPI) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	who := h.caller.identify(r)
	c := &call{
		h: h, r: r, rules: h.app.rules(h.route), caller: h.caller.resolve(who), denied: who.err, decision: uuid.NewString(),
		deadline: time.Now().Add(storePatience),
	}
	res, stars := find(r.URL.EscapedPath())
	if res == nil {
		return c.fail(w, errNoResource)
	}
	c.stars = stars
	method := r.Method
	if method == http.MethodHead {
		method = get
	}
	do := res.methods[method]
	switch {
	case do != nil:
	case method == http.MethodOptions:
		w.Header().Set("Allow", res.allow())
		return c.succeed(w, nil)
	default:
		w.Header().Set("Allow", res.allow())
		return c.fail(w, errMethod)
	}
	answer, err := do(c)
	if err != nil {
		return c.fail(w, err)
	}
	return c.succeed(w, answer)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*ConsentAPI)(nil)
	_ caddyhttp.MiddlewareHandler = (*ConsentAPI)(nil)
)
