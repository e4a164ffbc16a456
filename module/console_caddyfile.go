package minimize

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// parseConsole reads the directive with its matcher, as httpcaddyfile.RegisterHandlerDirective does, and looks at the matcher.
func parseConsole(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next() // the directive name
	matcher, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	if page := onePage(matcher); page != "" {
		return nil, h.Errf("%s matches itself alone, and none of the console's pages below it: write `minimize_console %s/*`", page, strings.TrimSuffix(page, "/"))
	}
	handler := new(Console)
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return h.NewRoute(matcher, handler), nil
}

// onePage is the first path of a matcher that has paths and none with something below it.
func onePage(matcher caddy.ModuleMap) string {
	var paths []string
	if json.Unmarshal(matcher["path"], &paths) != nil || len(paths) == 0 ||
		slices.ContainsFunc(paths, func(path string) bool { return strings.HasSuffix(path, "*") }) {
		return ""
	}
	return paths[0]
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	minimize_console [<matcher>] {
//	    caller { ... }
//	    roles  <names...>
//	    people <names...>
//	}
//
// The caller block is that of minimize. The matcher is a path that ends with a slash and a star, such as /console/*. Without
// one every request is the console's: on a site of its own, or inside of handle_path.
func (h *Console) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive name
	if d.NextArg() {
		return d.ArgErr()
	}
	return eachOption(d, nil, map[string]func() error{
		"caller": func() error { return callerBlock(d, &h.Caller) },
		"roles":  func() error { return someArgs(d, &h.Roles) },
		"people": func() error { return someArgs(d, &h.People) },
	})
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Console)(nil)
