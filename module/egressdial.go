package minimize

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-minimize/minimize/rules"
)

// provisionHTTP sets Caddy's transport up, without what would lead requests elsewhere than the register says.
func (t *Egress) provisionHTTP(ctx caddy.Context) error {
	if t.HTTP == nil {
		t.HTTP = new(reverseproxy.HTTPTransport)
	}
	h := t.HTTP
	switch {
	case h.NetworkProxyRaw != nil || h.ForwardProxyURL != "":
		return errors.New("a proxy decides where requests go, and nobody could check that: `network_proxy` and `forward_proxy_url` do not go with a recipient")
	case h.ProxyProtocol != "":
		return errors.New("`proxy_protocol` tells the recipient the client's address, in front of every rule")
	case slices.ContainsFunc(h.Versions, func(v string) bool { return v != "1.1" && v != "2" }):
		return errors.New("versions: a recipient is reached by HTTP 1.1 and 2")
	case h.TLS != nil && (h.TLS.ServerName != "" || h.TLS.InsecureSkipVerify || len(h.TLS.ExceptPorts) > 0):
		return errors.New("the register says who the recipient is: `tls_server_name`, `tls_insecure_skip_verify` and `tls_except_ports` do not go with it")
	}
	if err := h.Provision(ctx); err != nil {
		return err
	}
	h.Transport.Proxy = nil // also HTTP_PROXY and its like
	dial := h.Transport.DialContext
	h.Transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		guarded := &guardedConn{Conn: conn, t: t, dial: address}
		if refusal := guarded.refused(); refusal != nil {
			conn.Close()
			return nil, refusal
		}
		return guarded, nil
	}
	return nil
}

// guardedConn is a connection to a recipient. Whatever is written asks whether it still may be: a connection outlives the
// request that opened it, and a slow recipient the moment in which it was judged.
type guardedConn struct {
	net.Conn
	t     *Egress
	dial  string
	first atomic.Pointer[parcel] // what is asked before the next write
}

// watch has the request looked at once more before its head leaves: there may have been a dial, and only a body is asked as
// it is read. On HTTP/1 that is when it is written. Of what is written on HTTP/2 nobody can tell whose it is, and a failing
// write would end all requests on the connection; but net/http looks at the context right before it writes a head.
func (p *parcel) watch(got httptrace.GotConnInfo) {
	guarded, shared := guardOf(got.Conn)
	if !shared {
		guarded.first.Store(p)
	} else if err := guarded.refuses(p); err != nil {
		p.cancel(err)
	}
}

// guardOf is the guarded connection under one that requests are written to, and whether they share it.
func guardOf(conn net.Conn) (guarded *guardedConn, shared bool) {
	if secure, ok := conn.(*tls.Conn); ok {
		conn, shared = secure.NetConn(), secure.ConnectionState().NegotiatedProtocol == "h2"
	}
	guarded, _ = conn.(*guardedConn)
	return guarded, shared
}

// Write sends bytes if that is allowed now.
func (c *guardedConn) Write(p []byte) (int, error) {
	asked := c.first.Swap(nil)
	if err := c.refuses(asked); err != nil {
		if asked != nil { // net/http may tell of the closed connection instead
			asked.cancel(err)
		}
		return 0, err
	}
	return c.Conn.Write(p)
}

// refuses returns why the parcel may not leave here now, or where there is none, why nothing may. One without a body is told
// of as sent: nobody reads it to its end.
func (c *guardedConn) refuses(p *parcel) error {
	if err := c.refused(); err != nil || p == nil {
		return err
	}
	if !p.people.still(func() {}) {
		return errChanged
	}
	if p.toldFirst(p.bare) {
		if refusal := p.sum(""); refusal != nil {
			return refusal
		}
	}
	return nil
}

// refused returns why nothing may be sent here, an error only where it is one.
func (c *guardedConn) refused() error {
	if c.t.h.route.report {
		return nil
	}
	if refusal := c.lacks(); refusal != nil {
		return refusal
	}
	return nil
}

// lacks is what is wrong with sending here now.
func (c *guardedConn) lacks() *rules.Refusal {
	t := c.t
	set := t.h.app.rules(t.h.route).enforced
	entry := set.Recipient(t.Recipient)
	if lacks := entry.Lacks(t.now()); lacks != rules.Permitted {
		return &rules.Refusal{Reason: lacks, Detail: lacking}
	}
	if originOf(entry, c.dial) == nil {
		return &rules.Refusal{Reason: rules.RecipientUnknown, Detail: "the recipient is not registered at this host any more"}
	}
	host, _, _ := net.SplitHostPort(c.dial)
	remote, ok := c.RemoteAddr().(*net.TCPAddr)
	switch {
	case !ok || !leadsOut(host, remote.AddrPort().Addr()):
		return &rules.Refusal{Reason: rules.RecipientUnknown, Detail: "the recipient's name leads to an address inside, which is not registered"}
	case t.h.app.geo.misplaced(set, entry.Country, remote.AddrPort().Addr()):
		return &rules.Refusal{Reason: rules.Country, Detail: "the recipient's address is not in the country that it is registered in"}
	}
	return nil
}

// inside are the networks that are nobody's in particular: IANA's special-purpose registries (RFC 6890) and multicast. An
// address inside another one, as NAT64 and 6to4 have it, counts too: RFC 6052, RFC 3056, RFC 4380.
var insideNetworks = parsePrefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10",
	"fec0::/10", "ff00::/8",
)

func parsePrefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// leadsOut reports whether a host may be at this address: one that the register writes as an address is there alone, and a
// name leads to the outside.
func leadsOut(host string, remote netip.Addr) bool {
	if written, err := netip.ParseAddr(host); err == nil {
		return written.Unmap().WithZone("") == remote.Unmap().WithZone("")
	}
	return !isInside(remote)
}

// isInside reports whether an address is nobody's in particular: no database can know where it is used, though a company's
// own may.
func isInside(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(insideNetworks, func(n netip.Prefix) bool { return n.Contains(addr) })
}
