package cmd

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	minimize "github.com/caddy-minimize/minimize/module"
	"github.com/caddy-minimize/minimize/rules"
)

// The codes of what is found in a gateway's configuration.
const (
	lintBypass      = "bypass"
	lintReport      = "report-mode"
	lintTrust       = "trusted-header"
	lintLogAppend   = "log-append"
	lintCredentials = "log-credentials"
	lintLogFormat   = "log-format"
	lintAdmin       = "admin-open"
	lintEncode      = "encode-order"
	lintCache       = "shared-cache"
	lintBuried      = "buried"
)

// gatewayLint is a gateway's configuration while it is looked at.
type gatewayLint struct {
	*lint
	lines   *caddyLines
	choices [][]string // of documents, by route
	manage  []string   // roles that only the consent API knows
}

// gateway lints a Caddyfile, or Caddy's JSON, and the rule documents that it names.
func (l *lint) gateway(path string) error {
	file, err := filepath.Abs(path) // Caddy resolves a Caddyfile's paths against the name that it is given
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	config, err := caddyJSON(file, text)
	if err != nil {
		return err
	}
	g := &gatewayLint{lint: l, lines: &caddyLines{file: path, taken: map[string]int{}}}
	if filepath.Ext(file) != ".json" {
		g.lines = l.linesOf(file, text)
	}
	bypasses, err := minimize.Bypasses(config)
	if err != nil {
		return err
	}
	for _, b := range bypasses {
		g.report(g.lines.route(b.Route, directivesOf(b.Handler)), lintBypass, rules.SeverityWarning, "%s", b.String())
	}
	buried, err := minimize.Buried(config)
	if err != nil {
		return err
	}
	for _, route := range buried {
		g.report(g.lines.at("minimize_console"), lintBuried, rules.SeverityError, "%s: %s", route, minimize.BuriedAdvice)
	}
	root := gjson.ParseBytes(config)
	g.lintAdmin(root.Get("admin"))
	g.lintServers(root)
	g.lintLogs(root.Get("logging.logs"))
	files, err := configuredRules(config)
	if err != nil {
		return err
	}
	if len(g.choices) == 0 {
		g.choices = [][]string{nil}
	}
	return g.documents(files, g.choices, g.manage)
}

// directivesOf are the directives that a handler is made by.
func directivesOf(handler string) []string {
	if handler == "reverse_proxy" {
		return []string{"reverse_proxy", "php_fastcgi", "forward_auth"}
	}
	return []string{handler}
}

// relative shortens a path for people, where it lies below the directory that they are in.
func relative(file string) string {
	dir, err := os.Getwd()
	if err != nil {
		return file
	}
	if short, err := filepath.Rel(dir, file); err == nil && filepath.IsLocal(short) {
		return short
	}
	return file
}

func (g *gatewayLint) lintAdmin(admin gjson.Result) {
	listen := admin.Get("listen").Str
	if listen == "" || admin.Get("disabled").Bool() || strings.HasPrefix(listen, "unix") || strings.HasPrefix(listen, "fd") {
		return
	}
	host := listen[strings.LastIndex(listen, "/")+1:]
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if addr, err := netip.ParseAddr(host); host == "localhost" || err == nil && addr.IsLoopback() {
		return
	}
	g.report(g.lines.at("admin"), lintAdmin, rules.SeverityError,
		"the admin API listens for other machines: who reaches it can change the configuration and read everything; write `admin off` or a unix socket")
}

func (g *gatewayLint) lintServers(root gjson.Result) {
	root.Get("apps.http.servers").ForEach(func(_, server gjson.Result) bool {
		g.routes(server.Get("routes"), chain{})
		g.routes(server.Get("errors.routes"), chain{})
		server.Get("named_routes").ForEach(func(_, named gjson.Result) bool {
			g.handlers(named.Get("handle"), chain{})
			return true
		})
		if server.Get("logs.should_log_credentials").Bool() {
			g.report(g.lines.at("log_credentials"), lintCredentials, rules.SeverityWarning, "tokens and cookies go to the log: take it out")
		}
		return true
	})
}

// chain is what stands before a handler.
type chain struct{ judged, cached bool }

func (g *gatewayLint) routes(routes gjson.Result, c chain) {
	for _, route := range routes.Array() {
		if after := g.handlers(route.Get("handle"), c); !route.Get("group").Exists() {
			c = after
		}
	}
}

func (g *gatewayLint) handlers(handlers gjson.Result, c chain) chain {
	for _, h := range handlers.Array() {
		switch name := h.Get("handler").Str; name {
		case "minimize":
			g.route(h, c)
			c.judged = true
		case "minimize_consent":
			g.lintTrust(h)
			for _, role := range h.Get("manage").Array() {
				g.manage = append(g.manage, role.Str)
			}
		case "minimize_console":
			g.lintTrust(h)
		case "reverse_proxy":
			if t := h.Get("transport"); t.Get("protocol").Str == "minimize" {
				g.route(t, chain{})
			}
		case "encode":
			if c.judged {
				g.report(g.lines.at("encode"), lintEncode, rules.SeverityWarning, "inside of minimize this compresses nothing: order it before minimize")
			}
		case "cache", "http_cache", "souin":
			c.cached = c.cached || !c.judged
		case "log_append":
			g.lintLogAppend(h)
		}
		g.routes(h.Get("routes"), c)
		g.routes(h.Get("errors.routes"), c)
		for _, response := range h.Get("handle_response").Array() {
			g.routes(response.Get("routes"), c)
		}
	}
	return c
}

// route lints a minimize directive of any position.
func (g *gatewayLint) route(h gjson.Result, c chain) {
	var names []string
	for _, name := range h.Get("documents").Array() {
		names = append(names, name.Str)
	}
	g.choices = append(g.choices, names)
	g.lintTrust(h)
	if h.Get("mode").Str == "report" {
		g.report(g.lines.at("mode", "report"), lintReport, rules.SeverityWarning, "this route is in report mode and changes nothing: write `mode enforce` once its numbers are what you expect")
	}
	if c.cached {
		g.report(g.lines.at("cache"), lintCache, rules.SeverityError, "a cache in front of minimize gives one caller what was meant for another: order it behind")
	}
	if control := strings.ToLower(h.Get("cache").Str); strings.Contains(control, "public") || strings.Contains(control, "s-maxage") {
		g.report(g.lines.at("cache", h.Get("cache").Str), lintCache, rules.SeverityWarning,
			"shared caches may keep answers that were made for one caller: leave it at private, unless all callers get the same here")
	}
}

// broad is the shortest prefix of a network that is one of proxies rather than of whoever is near.
func broad(p netip.Prefix) bool {
	switch {
	case p.Addr().IsLoopback():
		return false
	case p.Addr().Is4():
		return p.Bits() < 16
	}
	return p.Bits() < 56
}

func (g *gatewayLint) lintTrust(h gjson.Result) {
	for _, network := range h.Get("caller.trust").Array() {
		if p, err := netip.ParsePrefix(network.Str); err == nil && broad(p) {
			g.report(g.lines.at("trust", network.Str), lintTrust, rules.SeverityWarning,
				"whoever is in %s can say to be anybody in the headers that count here: name the proxies, or verify tokens with `jwt`", network.Str)
		}
	}
}

func (g *gatewayLint) lintLogAppend(h gjson.Result) {
	value := h.Get("value").Str
	for _, c := range []struct {
		part, what string
		severity   rules.Severity
	}{
		{"{http.request.body", "request bodies", rules.SeverityError},
		{"{http.response.body", "response bodies", rules.SeverityError},
		{"{http.request.header.", "request headers", rules.SeverityWarning},
		{"{http.request.cookie.", "cookies", rules.SeverityWarning},
		{"{http.request.uri.query", "query parameters", rules.SeverityWarning},
	} {
		if strings.Contains(value, c.part) {
			g.report(g.lines.at("log_append", h.Get("key").Str), lintLogAppend, c.severity,
				"%s go to the access log, where no rule knows their names: take it out", c.what)
		}
	}
}

// lintLogs finds logs that get URLs and headers of requests as they are. A log without `include` gets those of errors in
// any case, and those of accesses where they are logged.
func (g *gatewayLint) lintLogs(logs gjson.Result) {
	const advice = "prints URLs and headers of requests as they come: give it `format minimize`"
	if !logs.Get("default").Exists() && len(g.choices) > 0 {
		g.report(g.lines.start(), lintLogFormat, rules.SeverityWarning, "Caddy's default log "+advice+" in a `log` of the global options")
	}
	logs.ForEach(func(name, log gjson.Result) bool {
		ofRequests := func(logger gjson.Result) bool {
			return logger.Str == "http" || strings.HasPrefix(logger.Str, "http.log")
		}
		include := log.Get("include").Array()
		encoder := log.Get("encoder")
		ours := encoder.Get("format").Str == "minimize" || strings.Contains(encoder.Raw, `"filter":"minimize"`)
		if len(g.choices) > 0 && !ours && log.Get("writer.output").Str != "discard" && (len(include) == 0 || slices.ContainsFunc(include, ofRequests)) {
			g.report(g.lines.log(name.Str == "default"), lintLogFormat, rules.SeverityWarning, "the log %s "+advice, name.Str)
		}
		return true
	})
}
