package minimize

import (
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-minimize/minimize/module/consentstore"
)

// parseConsent reads `consent sqlite FILE` or `consent postgres DSN`, with or without a block.
func (a *App) parseConsent(d *caddyfile.Dispenser) (err error) {
	c := new(Consent)
	if !d.AllArgs(&c.Store, &c.DSN) || c.Store != consentstore.SQLite && c.Store != consentstore.Postgres {
		// Not what stands there, which may hold a password.
		return d.Err("consent wants a store: `consent sqlite consent.db` or `consent postgres {env.CONSENT_DSN}`")
	}
	if c.Store == consentstore.SQLite {
		if c.DSN, err = absolute(d, c.DSN); err != nil {
			return err
		}
	}
	a.Consent = c
	return eachOption(d, nil, map[string]func() error{
		"stale": func() error { return durationArg(d, &c.Stale) },
		"cache": func() error { return countArg(d, &c.Cache) },
	})
}

func parseConsentAPI(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(ConsentAPI)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	minimize_consent {
//	    caller    { ... }
//	    manage    <roles...>
//	    documents <names...>
//	}
//
// The caller block is that of minimize. Resources are relative to where the handler stands, so it goes into a
// `handle_path /consent/*` block, and minimize into a `handle` block or behind a matcher beside it: inside minimize the
// API's answers would be judged like any other.
func (h *ConsentAPI) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive name
	if d.NextArg() {
		return d.ArgErr()
	}
	return eachOption(d, nil, map[string]func() error{
		"caller":    func() error { return callerBlock(d, &h.Caller) },
		"manage":    func() error { return someArgs(d, &h.Manage) },
		"documents": func() error { return someArgs(d, &h.Documents) },
	})
}

func durationArg(d *caddyfile.Dispenser, to *caddy.Duration) error {
	var text string
	if !d.AllArgs(&text) {
		return d.ArgErr()
	}
	duration, err := caddy.ParseDuration(text)
	if err != nil || duration <= 0 {
		return d.Errf("%s is no duration like 500ms or 1s", strconv.Quote(text))
	}
	*to = caddy.Duration(duration)
	return nil
}

func countArg(d *caddyfile.Dispenser, to *int) error {
	var text string
	if !d.AllArgs(&text) {
		return d.ArgErr()
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return d.Errf("%s is no number above 0", strconv.Quote(text))
	}
	*to = n
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*ConsentAPI)(nil)
