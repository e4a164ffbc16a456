package minimize

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func parseConsole(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Console)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	minimize_console [<matcher>] {
//	    caller { ... }
//	    roles  <names...>
//	    people <names...>
//	}
//
// The caller block is that of minimize. The matcher is a path that ends with a slash and a star, such as /console/*.
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
