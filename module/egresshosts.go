package minimize

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-minimize/minimize/rules"
)

func init() {
	caddy.RegisterModule(EgressHosts{})
}

// EgressHosts are the upstreams of a recipient: the hosts that its register entry has now, so that they change with the
// rules and no reload.
type EgressHosts struct {
	// Recipient is the entry of the register.
	Recipient string `json:"recipient,omitempty"`

	// Documents names the rule documents that hold, the same as for the transport.
	Documents []string `json:"documents,omitempty"`

	app   *App
	route *route
}

// CaddyModule returns the Caddy module information.
func (EgressHosts) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.upstreams.minimize",
		New: func() caddy.Module { return new(EgressHosts) },
	}
}

// Provision compiles the rules that hold the register.
func (u *EgressHosts) Provision(ctx caddy.Context) error {
	app, err := ctx.App("minimize")
	if err != nil {
		return err
	}
	u.app = app.(*App)
	u.route = &route{documents: u.Documents, api: true, country: true, recipient: u.Recipient}
	return u.app.add(u.route)
}

// askedVar, followed by the recipient's name, is the request's variable that holds its asking.
const askedVar = "minimize.asked."

// asking is a request as it came: what reverse_proxy sets for the recipient says nothing about the caller.
type asking struct {
	header http.Header
	read   bool   // its body was
	kept   []byte // all of that, where it fits the hold
}

// GetUpstreams returns where the recipient is reached. A recipient that is no longer registered gets an address that is never
// dialed, so that the transport is asked, and refuses with the reason.
func (u *EgressHosts) GetUpstreams(r *http.Request) ([]*reverseproxy.Upstream, error) {
	name := askedVar + u.Recipient
	if caddyhttp.GetVar(r.Context(), name) == nil {
		caddyhttp.SetVar(r.Context(), name, &asking{header: r.Header.Clone()})
	}
	var upstreams []*reverseproxy.Upstream
	for _, o := range originsOf(u.app.rules(u.route).enforced.Recipient(u.Recipient)) {
		upstreams = append(upstreams, &reverseproxy.Upstream{Dial: o.dial})
	}
	if len(upstreams) == 0 {
		upstreams = []*reverseproxy.Upstream{{Dial: "unregistered.invalid:443"}} // RFC 2606 section 2
	}
	return upstreams, nil
}

// origin is where a recipient is reached, as its register entry says.
type origin struct {
	scheme string
	host   string // with the port, if one is written: for the Host header
	dial   string // with a port always
}

func originsOf(entry *rules.Recipient) []origin {
	if entry == nil {
		return nil
	}
	var all []origin
	for _, written := range entry.Hosts {
		scheme, host, _ := strings.Cut(written, "://")
		all = append(all, origin{scheme, host, dialOf(scheme, host)})
	}
	return all
}

// originOf is the origin of a dial address. Where a host is registered with and without TLS on one port, TLS it is.
func originOf(entry *rules.Recipient, dial string) *origin {
	var found *origin
	for _, o := range originsOf(entry) {
		if strings.EqualFold(o.dial, dial) && (found == nil || o.scheme == "https") {
			found = &o
		}
	}
	return found
}

// dialOf is the address of an origin, with the port that its scheme has by itself.
func dialOf(scheme, host string) string {
	u := url.URL{Host: host}
	port := u.Port()
	switch {
	case port != "":
	case scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*EgressHosts)(nil)
	_ reverseproxy.UpstreamSource = (*EgressHosts)(nil)
)
