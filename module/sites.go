package minimize

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/fileserver"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/intercept"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"
)

// rawRoute is a route of the adapted configuration.
type rawRoute struct {
	Group  string                       `json:"group"`
	Match  []map[string]json.RawMessage `json:"match"`
	Handle []rawHandler                 `json:"handle"`
}

// rawHandler is what handlers that hold routes, and minimize's backends, have in their configuration.
type rawHandler struct {
	Handler string     `json:"handler"`
	Name    string     `json:"name"` // of invoke
	Routes  []rawRoute `json:"routes"`
	Errors  struct {
		Routes []rawRoute `json:"routes"`
	} `json:"errors"`
	HandleResponse []struct {
		Match struct {
			StatusCode []int `json:"status_code"`
		} `json:"match"`
		Routes []rawRoute `json:"routes"`
	} `json:"handle_response"`
	Request  json.RawMessage `json:"request"`   // of headers
	PassThru bool            `json:"pass_thru"` // of file_server
	Rewrite  struct {
		Method string `json:"method"`
	} `json:"rewrite"`
	Transport struct {
		Protocol string `json:"protocol"`
	} `json:"transport"`
}

// egressName is a reverse_proxy whose transport judges what it sends and gets.
const egressName = "minimize_egress"

// forwardsAuth reports whether it is what the forward_auth directive makes: its requests ask who the caller is, and only
// the refusals of the authentication server reach the caller.
func forwardsAuth(method string, responses [][]int) bool {
	return method == "GET" && len(responses) > 0 && slices.Equal(responses[0], []int{2})
}

// answering are handlers that hand no request on.
var answering = []string{"error", "metrics", "minimize_consent", "minimize_console", "static_response"}

// rewritten is what the matchers of coverage see of a request that a rewrite changes.
var rewritten = []string{"method", "path"}

// changedByHeaders is the same of what `headers` does to requests: it may set the host. A name can be a pattern.
func changedByHeaders(operations []byte) []string {
	var names struct {
		Add, Set map[string]json.RawMessage
		Delete   []string
		Replace  map[string]json.RawMessage
	}
	_ = json.Unmarshal(operations, &names) // what does not load does not run
	all := slices.Concat(slices.Collect(maps.Keys(names.Add)), slices.Collect(maps.Keys(names.Set)), slices.Collect(maps.Keys(names.Replace)), names.Delete)
	if slices.ContainsFunc(all, func(name string) bool { return strings.EqualFold(name, "host") || strings.ContainsAny(name, "*{") }) {
		return []string{"host"}
	}
	return nil
}

func sitesOfJSON(config []byte) ([]site, error) {
	var root struct {
		Apps struct {
			HTTP struct {
				Servers map[string]struct {
					Routes []rawRoute `json:"routes"`
					Errors struct {
						Routes []rawRoute `json:"routes"`
					} `json:"errors"`
					Named map[string]rawRoute `json:"named_routes"`
				} `json:"servers"`
			} `json:"http"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(config, &root); err != nil {
		return nil, fmt.Errorf("reading the adapted configuration: %w", err)
	}
	unique := 0
	var sites []site
	for _, name := range slices.Sorted(maps.Keys(root.Apps.HTTP.Servers)) {
		server := root.Apps.HTTP.Servers[name]
		s := site{name: name, routes: rawHops(server.Routes, &unique), errors: rawHops(server.Errors.Routes, &unique), named: make(map[string]hop)}
		for name, route := range server.Named {
			s.named[name] = rawHops([]rawRoute{route}, &unique)[0]
		}
		sites = append(sites, s)
	}
	return sites, nil
}

func rawHops(routes []rawRoute, unique *int) []hop {
	var hops []hop
	for _, route := range routes {
		h := hop{group: route.Group}
		h.describe(route.Match, unique)
		for _, handler := range route.Handle {
			h.handlers = append(h.handlers, handler.link(unique))
		}
		hops = append(hops, h)
	}
	return hops
}

func (r *rawHandler) link(unique *int) link {
	l := link{name: r.Handler, ends: slices.Contains(answering, r.Handler), inner: [][]hop{rawHops(r.Routes, unique), rawHops(r.Errors.Routes, unique)}}
	var statuses [][]int
	for _, response := range r.HandleResponse {
		statuses = append(statuses, response.Match.StatusCode)
		l.inner = append(l.inner, rawHops(response.Routes, unique))
	}
	switch {
	case r.Handler == "rewrite":
		l.changes = rewritten
	case r.Handler == "file_server":
		l.ends = !r.PassThru
	case r.Handler == "headers":
		l.changes = changedByHeaders(r.Request)
	case r.Handler == "invoke":
		l.invokes = r.Name
	case r.Handler == "reverse_proxy" && r.Transport.Protocol == "minimize":
		l.name, l.ends = egressName, len(statuses) == 0
	case r.Handler == "reverse_proxy" && forwardsAuth(r.Rewrite.Method, statuses):
		l.name = "forward_auth"
	case r.Handler == "reverse_proxy":
		l.ends = len(statuses) == 0
	}
	return l
}

// provisionedSites reads the running configuration. It is for Start: while handlers are provisioned, later routes are raw.
func (a *App) provisionedSites() ([]site, error) {
	mod, err := a.ctx.AppIfConfigured("http")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("walking the routes: %w", err)
	}
	unique := 0
	var sites []site
	servers := mod.(*caddyhttp.App).Servers
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		server := servers[name]
		s := site{name: name, routes: hops(server.Routes, &unique), named: make(map[string]hop)}
		if server.Errors != nil {
			s.errors = hops(server.Errors.Routes, &unique)
		}
		for name, route := range server.NamedRoutes {
			s.named[name] = hops(caddyhttp.RouteList{*route}, &unique)[0]
		}
		sites = append(sites, s)
	}
	return sites, nil
}

func hops(routes caddyhttp.RouteList, unique *int) []hop {
	var all []hop
	for _, route := range routes {
		h := hop{group: route.Group}
		h.describe(matchers(route.MatcherSets), unique)
		for _, handler := range route.Handlers {
			h.handlers = append(h.handlers, linkOf(handler, unique))
		}
		all = append(all, h)
	}
	return all
}

func matchers(sets caddyhttp.MatcherSets) []map[string]json.RawMessage {
	var all []map[string]json.RawMessage
	for _, set := range sets {
		raw := make(map[string]json.RawMessage)
		for _, m := range set {
			value, _ := json.Marshal(m)
			raw[caddy.GetModuleName(m)] = value
		}
		all = append(all, raw)
	}
	return all
}

func linkOf(handler caddyhttp.MiddlewareHandler, unique *int) link {
	l := link{name: caddy.GetModuleName(handler)}
	l.ends = slices.Contains(answering, l.name)
	switch h := handler.(type) {
	case *Handler:
		l.judges = h
	case *caddyhttp.Subroute:
		l.inner = append(l.inner, hops(h.Routes, unique))
		if h.Errors != nil {
			l.inner = append(l.inner, hops(h.Errors.Routes, unique))
		}
	case *fileserver.FileServer:
		l.ends = !h.PassThru
	case *rewrite.Rewrite:
		l.changes = rewritten
	case *headers.Handler:
		raw, _ := json.Marshal(h.Request)
		l.changes = changedByHeaders(raw)
	case *caddyhttp.Invoke:
		l.invokes = h.Name
	case *intercept.Intercept:
		for _, response := range h.HandleResponse {
			l.inner = append(l.inner, hops(response.Routes, unique))
		}
	case *reverseproxy.Handler:
		l.ends = len(h.HandleResponse) == 0
		var statuses [][]int
		for _, response := range h.HandleResponse {
			var codes []int
			if response.Match != nil {
				codes = response.Match.StatusCode
			}
			statuses = append(statuses, codes)
			l.inner = append(l.inner, hops(response.Routes, unique))
		}
		if egress, judged := h.Transport.(*Egress); judged {
			l.name, l.judges = egressName, egress.h
		}
		if h.Rewrite != nil && forwardsAuth(h.Rewrite.Method, statuses) && l.name != egressName {
			l.name = "forward_auth"
		}
	}
	return l
}
