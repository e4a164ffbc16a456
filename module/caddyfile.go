package minimize

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/logging"
	"github.com/dustin/go-humanize"

	"github.com/caddy-minimize/minimize/module/rulefile"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("minimize", parseGlobal)
	httpcaddyfile.RegisterHandlerDirective("minimize", parseHandler)
	// Inside encode, so that bodies come plain and are compressed after judging; inside authentication, so that it is
	// known who asks.
	httpcaddyfile.RegisterDirectiveOrder("minimize", httpcaddyfile.After, "encode")
	httpcaddyfile.RegisterHandlerDirective("minimize_consent", parseConsentAPI)
	// Right after encode, which is outside minimize: its answers are no upstream's, they tell people what is kept about them.
	httpcaddyfile.RegisterDirectiveOrder("minimize_consent", httpcaddyfile.After, "encode")
	httpcaddyfile.RegisterDirective("minimize_console", parseConsole)
	httpcaddyfile.RegisterDirectiveOrder("minimize_console", httpcaddyfile.After, "encode") // for the same reason
}

func parseGlobal(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		return nil, d.Err("the global option minimize is given twice")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "minimize", Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile sets up the app from Caddyfile tokens. Syntax:
//
//	minimize {
//	    rules       <files...>
//	    keys        <directory>
//	    geoip       <file>
//	    consent     sqlite <file>|postgres <dsn> {
//	        stale   <duration>
//	        cache   <data subjects>
//	    }
//	    audit       [required] output <writer> ...
//	    node        <name>
//	    hold_memory <size>
//	    strict
//	}
//
// Paths are relative to the Caddyfile.
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the option name
	if d.NextArg() {
		return d.ArgErr()
	}
	return eachOption(d, nil, map[string]func() error{
		"rules": func() error {
			if !d.NextArg() {
				return d.ArgErr()
			}
			for {
				path, err := absolute(d, d.Val())
				if err != nil {
					return err
				}
				a.Rules = append(a.Rules, path)
				if !d.NextArg() {
					return nil
				}
			}
		},
		"keys":        func() error { return pathArg(d, &a.Keys) },
		"geoip":       func() error { return pathArg(d, &a.GeoIP) },
		"consent":     func() error { return a.parseConsent(d) },
		"audit":       func() error { return a.parseAudit(d) },
		"node":        func() error { return oneArg(d, &a.Node) },
		"hold_memory": func() error { return sizeArg(d, &a.HoldMemory) },
		"strict":      func() error { return noArg(d, &a.Strict) },
	})
}

// parseAudit reads `[required] output <writer> …`, the writer as in Caddy's `log`.
func (a *App) parseAudit(d *caddyfile.Dispenser) error {
	given := d.NextArg()
	if a.AuditRequired = given && d.Val() == "required"; a.AuditRequired {
		given = d.NextArg()
	}
	if !given || d.Val() != "output" || !d.NextArg() {
		return d.Err("audit wants a log writer: `audit output file audit.jsonl`, or `audit required output file audit.jsonl`")
	}
	name := d.Val()
	if name == "stdout" || name == "stderr" { // which have no options, and no Caddyfile of their own
		a.AuditRaw = caddyconfig.JSON(map[string]string{"output": name}, nil)
		return noMoreArgs(d)
	}
	module, err := caddyfile.UnmarshalModule(d, "caddy.logging.writers."+name)
	if err != nil {
		return err
	}
	if _, ok := module.(caddy.WriterOpener); !ok {
		return d.Errf("%s is no log writer", name)
	}
	if f, ok := module.(*logging.FileWriter); ok {
		if f.Filename, err = absolute(d, f.Filename); err != nil {
			return err
		}
	}
	a.AuditRaw = caddyconfig.JSONModuleObject(module, "output", name, nil)
	return nil
}

func parseHandler(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	minimize [<matcher>] {
//	    caller {
//	        jwt          issuer <url> audience <names...> [jwks <url>] [key <file>] [algorithms <names...>]
//	        id           <placeholder>
//	        role         <placeholder>
//	        guardian     <placeholder>
//	        country      <placeholder|constant>
//	        organisation <placeholder>
//	        case         <placeholder>
//	        purpose      <constant|placeholder> [of <constants|placeholders...>]
//	        claim        <name> <placeholder>
//	        trust        <networks...>
//	    }
//	    documents        <names...>
//	    inbound
//	    issues           auth.token
//	    mode             enforce|report
//	    hold             <size>|all
//	    max_body         <size>
//	    opaque           <media types...> <reason>
//	    subject          <placeholder>
//	    download
//	    cache            <Cache-Control>
//	    response_headers <names...>
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive name
	if d.NextArg() {
		return d.ArgErr()
	}
	return eachOption(d, []string{"opaque"}, map[string]func() error{
		"caller":    func() error { return callerBlock(d, &h.Caller) },
		"documents": func() error { return someArgs(d, &h.Documents) },
		"inbound":   func() error { return noArg(d, &h.Inbound) },
		"issues":    func() error { return someArgs(d, &h.Issues) },
		"mode":      func() error { return oneArg(d, &h.Mode) },
		"hold":      func() error { return holdArg(d, &h.Hold, &h.HoldAll) },
		"max_body":  func() error { return sizeArg(d, &h.MaxBody) },
		"opaque":    func() error { return opaqueArgs(d, &h.Opaque) },
		"subject":   func() error { return oneArg(d, &h.Subject) },
		"download":  func() error { return noArg(d, &h.Download) },
		"cache":     func() error { return oneArg(d, &h.Cache) },
		"response_headers": func() error {
			return someArgs(d, &h.ResponseHeaders)
		},
	})
}

func callerBlock(d *caddyfile.Dispenser, to **Caller) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	*to = new(Caller)
	return (*to).unmarshal(d)
}

// opaqueArgs reads `opaque text/html image/* "public pages"`.
func opaqueArgs(d *caddyfile.Dispenser, to *[]Opaque) error {
	args := d.RemainingArgs()
	last := len(args) - 1
	if last < 1 || strings.Contains(args[last], "/") && !strings.Contains(args[last], " ") {
		return d.Err("opaque wants media types and, last, the reason why they may pass unread: `opaque image/* \"product pictures\"`")
	}
	*to = append(*to, Opaque{Types: args[:last], Reason: args[last]})
	return nil
}

func (c *Caller) unmarshal(d *caddyfile.Dispenser) error {
	return eachOption(d, []string{"claim"}, map[string]func() error{
		"jwt": func() error {
			c.JWT = new(JWT)
			return c.JWT.unmarshal(d)
		},
		"id":           func() error { return oneArg(d, &c.ID) },
		"role":         func() error { return oneArg(d, &c.Role) },
		"guardian":     func() error { return oneArg(d, &c.Guardian) },
		"country":      func() error { return oneArg(d, &c.Country) },
		"organisation": func() error { return oneArg(d, &c.Organisation) },
		"case":         func() error { return oneArg(d, &c.Case) },
		"purpose":      func() error { return c.parsePurpose(d) },
		"claim": func() error {
			var name, value string
			if !d.AllArgs(&name, &value) {
				return d.ArgErr()
			}
			if _, twice := c.Claims[name]; twice {
				return d.Errf("the claim %s is given twice", name)
			}
			if c.Claims == nil {
				c.Claims = make(map[string]string)
			}
			c.Claims[name] = value
			return nil
		},
		"trust": func() error { return someArgs(d, &c.Trust) },
	})
}

// parsePurpose reads `purpose after_sales`, or a choice: `purpose {header.Purpose} of after_sales search`.
func (c *Caller) parsePurpose(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 || len(args) == 2 || len(args) > 2 && args[1] != "of" {
		return d.Err("purpose wants one purpose, or a choice: `purpose {header.Purpose} of after_sales search`")
	}
	c.Purpose = args[0]
	if len(args) > 2 {
		c.Purposes = args[2:]
	}
	return nil
}

// unmarshal reads `jwt issuer URL audience A…`, each word followed by its values.
func (c *JWT) unmarshal(d *caddyfile.Dispenser) error {
	words := map[string]*[]string{"issuer": {}, "audience": {}, "jwks": {}, "key": {}, "algorithms": {}}
	var values *[]string
	for _, arg := range d.RemainingArgs() {
		word, known := words[arg]
		switch {
		case known && len(*word) > 0:
			return d.Errf("jwt: %s is given twice", arg)
		case known && (values == nil || len(*values) > 0):
			values = word
		case values == nil:
			return d.Errf("jwt: unknown option %q (want issuer, audience, jwks, key or algorithms)", arg)
		default:
			*values = append(*values, arg)
		}
	}
	if values != nil && len(*values) == 0 {
		return d.Err("jwt: the last option lacks its value")
	}
	c.Audience, c.Algorithms = *words["audience"], *words["algorithms"]
	for word, to := range map[string]*string{"issuer": &c.Issuer, "jwks": &c.JWKS, "key": &c.Key} {
		if len(*words[word]) > 1 {
			return d.Errf("jwt: %s takes one value", word)
		}
		*to = strings.Join(*words[word], "")
	}
	if c.Key == "" {
		return nil
	}
	var err error
	c.Key, err = absolute(d, c.Key)
	return err
}

// eachOption reads a block of options, each known and given once but for the repeatable ones.
func eachOption(d *caddyfile.Dispenser, repeatable []string, options map[string]func() error) error {
	given := make(map[string]bool)
	for _, name := range repeatable {
		given[name] = false
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		option := options[name]
		if option == nil {
			return d.Errf("unknown option %q", name)
		}
		if given[name] {
			return d.Errf("the option %s is given twice", name)
		}
		if _, again := given[name]; !again {
			given[name] = true
		}
		if err := option(); err != nil {
			return err
		}
	}
	return nil
}

func oneArg(d *caddyfile.Dispenser, to *string) error {
	if !d.AllArgs(to) {
		return d.ArgErr()
	}
	return nil
}

// pathArg reads a path, relative to the Caddyfile.
func pathArg(d *caddyfile.Dispenser, to *string) (err error) {
	if err := oneArg(d, to); err != nil {
		return err
	}
	*to, err = absolute(d, *to)
	return err
}

func someArgs(d *caddyfile.Dispenser, to *[]string) error {
	if *to = d.RemainingArgs(); len(*to) == 0 {
		return d.ArgErr()
	}
	return nil
}

func noMoreArgs(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

func noArg(d *caddyfile.Dispenser, to *bool) error {
	*to = true
	return noMoreArgs(d)
}

func sizeArg(d *caddyfile.Dispenser, to *int64) error {
	var text string
	if !d.AllArgs(&text) {
		return d.ArgErr()
	}
	size, err := humanize.ParseBytes(text)
	if err != nil || size == 0 || size > 1<<40 {
		return d.Errf("%s is no size like 256KiB or 1MiB", strconv.Quote(text))
	}
	*to = int64(size)
	return nil
}

// holdArg reads a size, or all.
func holdArg(d *caddyfile.Dispenser, hold *int, all *bool) error {
	if d.CountRemainingArgs() == 1 && peek(d) == "all" {
		d.NextArg()
		*all = true
		return nil
	}
	var size int64
	err := sizeArg(d, &size)
	*hold = int(size)
	return err
}

// peek returns the next argument without taking it.
func peek(d *caddyfile.Dispenser) string {
	if !d.NextArg() {
		return ""
	}
	defer d.Prev()
	return d.Val()
}

// absolute resolves a path against the directory of the Caddyfile that it stands in. The adapted JSON may run elsewhere.
func absolute(d *caddyfile.Dispenser, path string) (string, error) {
	if path == "" {
		return "", errors.New("a path is empty")
	}
	if filepath.IsAbs(path) || strings.HasPrefix(path, "{") || rulefile.IsPack(path) {
		return path, nil
	}
	dir := filepath.Dir(d.File())
	if d.File() == "" {
		var err error
		if dir, err = os.Getwd(); err != nil {
			return "", err
		}
	}
	return filepath.Abs(filepath.Join(dir, path))
}

// Interface guards
var (
	_ caddyfile.Unmarshaler = (*App)(nil)
	_ caddyfile.Unmarshaler = (*Handler)(nil)
)
