package minimize

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.uber.org/zap"
)

// harmless are the handlers that neither make nor fetch data, or whose inner routes are walked. Every other counts as a
// backend: nobody knows what handlers of other authors answer. forward_auth is what sites.go makes of some reverse_proxy.
var harmless = []string{
	"acme_server", "authentication", "copy_response", "copy_response_headers", "encode", "error", "forward_auth", "headers", "intercept", "invoke",
	"log_append", "map", "metrics", "minimize", "minimize_consent", "minimize_console", egressName, "push", "request_body", "rewrite", "static_response", "subroute", "tracing", "vars",
}

// Bypass is a route that reaches a backend without `minimize` before it.
type Bypass struct {
	// Route says where it is: the server, and the hosts and paths that lead there.
	Route string
	// Handler is the backend, or a handler that may be one.
	Handler string
	// Partly says that some requests to the backend are judged: those that match the matcher of `minimize`.
	Partly bool
}

func (b Bypass) String() string {
	if b.Partly {
		return b.Route + " reaches " + b.Handler + " through minimize for some requests only: those that match its matcher"
	}
	return b.Route + " reaches " + b.Handler + " without minimize"
}

// hop is a route of a server, as far as coverage asks.
type hop struct {
	match    string // its matchers, equal for equal ones; "": every request
	title    string // hosts and paths of the matchers, for people
	group    string // the routes of one exclude each other; "": none
	handlers []link
}

// link is a handler of a route.
type link struct {
	name    string
	inner   [][]hop  // routes that run inside of it, writing to what it writes to
	invokes string   // the named route that runs in its place
	judges  *Handler // it, where it is one of a configuration that runs
	changes []string // the matchers that may see another request behind it
	ends    bool     // nothing comes behind it
}

// site is a server: its routes, those for its errors, and those that `invoke` names.
type site struct {
	name   string
	routes []hop
	errors []hop
	named  map[string]hop
}

// cover is what stands before a route.
type cover struct {
	always bool
	partly bool     // for some requests it does
	when   []string // matchers for which it does
}

// without is what is left of it behind something that changes what these matchers see.
func (c cover) without(matchers []string) cover {
	c.when = slices.DeleteFunc(slices.Clone(c.when), func(match string) bool {
		return slices.ContainsFunc(matchers, func(name string) bool { return strings.Contains(match, name+" [") })
	})
	return c
}

// Bypasses returns the routes of an adapted configuration that reach a backend without minimize.
func Bypasses(config []byte) ([]Bypass, error) {
	sites, err := sitesOfJSON(config)
	if err != nil {
		return nil, err
	}
	return bypasses(sites), nil
}

// Buried returns the routes of an adapted configuration in which a console takes every request, also those of handlers that stand
// behind it.
func Buried(config []byte) ([]string, error) {
	sites, err := sitesOfJSON(config)
	return buried(sites), err
}

func buried(sites []site) []string {
	var w coverageWalk
	w.sites(sites)
	return w.buried
}

// BuriedAdvice is what to write where a console takes every request.
const BuriedAdvice = "minimize_console takes every request there, and what stands behind it gets none: write `minimize_console /console/*`"

// buries reports whether there is a console without a matcher before other handlers: it answers everything, and asks nobody.
func (h *hop) buries(later []hop) bool {
	i := slices.IndexFunc(h.handlers, func(l link) bool { return l.name == "minimize_console" })
	return i >= 0 && h.match == "" && h.group == "" && (i+1 < len(h.handlers) || len(later) > 0)
}

func bypasses(sites []site) []Bypass {
	var w coverageWalk
	w.sites(sites)
	return w.found
}

// hiddenRoute is where a handler stands that coverage cannot find.
const hiddenRoute = "a route inside of another handler"

// titlesOf says where the handlers stand that judge, and those of the transports that do.
func (a *App) titlesOf(sites []site) map[*Handler]string {
	w := coverageWalk{titles: make(map[*Handler]string)}
	w.sites(sites)
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, u := range a.routes {
		if u.handler != nil && w.titles[u.handler] == "" {
			w.titles[u.handler] = hiddenRoute
		}
	}
	return w.titles
}

type coverageWalk struct {
	named  map[string]hop
	titles map[*Handler]string // nil: nobody asks
	depth  int
	found  []Bypass
	buried []string // routes in which a console stands before handlers that are never asked
}

func (w *coverageWalk) sites(sites []site) {
	for _, s := range sites {
		w.named = s.named
		w.walk("server "+s.name, s.routes, cover{})
		// The error routes write past the handlers of the primary ones.
		w.walk("server "+s.name+", handle_errors", s.errors, cover{})
	}
}

// walk follows routes in their order. A minimize before them covers what comes later; one inside a nested list covers that
// list only, which is less than Caddy does, so that a doubt is a finding. It returns the matchers that may see another request
// behind them, where that was not judged, and whether nothing comes behind them.
func (w *coverageWalk) walk(where string, routes []hop, c cover) (changed []string, ends bool) {
	if w.depth++; w.depth > 64 {
		return nil, false // named routes that invoke each other
	}
	defer func() { w.depth-- }()
	group, inGroup := "", []string(nil) // what a route of the group changed: the others of it do not run then
	for i, route := range routes {
		if route.group == "" || route.group != group {
			c, group, inGroup = c.without(inGroup), route.group, nil
		}
		by, ended := w.hop(strings.TrimSuffix(where+", "+route.title, ", "), route, c)
		changed, inGroup = append(changed, by...), append(inGroup, by...)
		if route.buries(routes[i+1:]) {
			w.buried = append(w.buried, where)
		}
		ends = ends || ended && route.match == "" && route.group == ""
		covers := slices.ContainsFunc(route.handlers, func(l link) bool { return l.name == "minimize" })
		switch {
		case !covers || route.group != "":
		case route.match == "":
			c.always = true
		default:
			c.partly, c.when = true, append(slices.Clone(c.when), route.match)
		}
	}
	if ends {
		changed = nil
	}
	return changed, ends
}

func (w *coverageWalk) hop(where string, route hop, c cover) (changed []string, ends bool) {
	if route.match != "" && slices.Contains(c.when, route.match) {
		c.always = true
	}
	for _, l := range route.handlers {
		if l.name == "minimize" {
			c.always = true
		}
		if w.titles != nil && l.judges != nil && w.titles[l.judges] == "" {
			w.titles[l.judges] = where
		}
		if !c.always && !slices.Contains(harmless, l.name) {
			w.found = append(w.found, Bypass{Route: where, Handler: l.name, Partly: c.partly})
		}
		by := slices.Clone(l.changes)
		ends = ends || l.ends
		for i, inner := range l.inner {
			more, ended := w.walk(where, inner, c.without(by))
			by, ends = append(by, more...), ends || ended && i == 0 && l.name == "subroute"
		}
		if named, ok := w.named[l.invokes]; ok {
			more, ended := w.walk(where, []hop{named}, c)
			by, ends = append(by, more...), ends || ended
		}
		if !c.always { // what was judged stays so, whatever it becomes
			c, changed = c.without(by), append(changed, by...)
		}
	}
	if ends {
		changed = nil
	}
	return changed, ends
}

// describe makes the key and the title of a route's matchers. Other matchers than those here keep parts to themselves once
// they are provisioned, so they are never equal.
func (h *hop) describe(sets []map[string]json.RawMessage, unique *int) {
	var keys, titles []string
	for _, set := range sets {
		var key strings.Builder
		for _, name := range slices.Sorted(maps.Keys(set)) {
			var values []string
			known := slices.Contains([]string{"host", "path", "method"}, name) && json.Unmarshal(set[name], &values) == nil
			if !known {
				*unique++
				fmt.Fprintf(&key, "%s %d;", name, *unique)
				continue
			}
			fmt.Fprintf(&key, "%s %q;", name, values)
			titles = append(titles, values...)
		}
		keys = append(keys, key.String())
	}
	h.match, h.title = strings.Join(keys, "|"), strings.Join(titles, " ")
}

// checkCoverage names the routes of the running configuration that bypass minimize.
func (a *App) checkCoverage() error {
	sites, err := a.provisionedSites()
	if err != nil {
		return err
	}
	if routes := buried(sites); len(routes) > 0 {
		return fmt.Errorf("%s: %s", routes[0], BuriedAdvice)
	}
	found := bypasses(sites)
	a.titles = a.titlesOf(sites)
	a.uncovered = len(found)
	if !a.Strict {
		for _, b := range found {
			a.logger.Warn("a route bypasses minimize", zap.String("route", b.Route), zap.String("handler", b.Handler), zap.Bool("partly", b.Partly))
		}
		return nil
	}
	var errs []error
	for _, b := range found {
		errs = append(errs, fmt.Errorf("strict: %s", b))
	}
	return errors.Join(errs...)
}
