package minimize

import (
	"net/http"
	"net/netip"
	"strings"
)

// locate is a tripwire: a caller whose address is in another country than it claims is nowhere, so that it counts as abroad.
// An address proves nothing, so that it can take rights away and never give any.
func (m *message) locate(r *http.Request) {
	c := &m.disclosure.Caller
	if geo := m.h.app.geo; geo == nil || !geo.contradicts(m.rules.enforced, c.Country, m.h.caller.address(r)) {
		return
	}
	c.Country, m.contradicted = "", true
	if !m.canary {
		m.h.metrics.contradictions.Inc()
	}
}

// address is where a request comes from: the peer's address, or what trusted peers say of those before them. It is not valid
// where one of them says what is no address.
func (p *caller) address(r *http.Request) netip.Addr {
	if r.TLS != nil && !r.TLS.HandshakeComplete { // anybody could have written the address of its datagram
		return netip.Addr{}
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil { // a Unix socket
		return netip.IPv6Loopback()
	}
	addr := from.Addr()
	hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for i := len(hops) - 1; i >= 0 && p.trustsAddress(addr); i-- {
		hop := strings.TrimSpace(hops[i])
		if hop == "" {
			continue
		}
		if addr, err = netip.ParseAddr(hop); err != nil {
			from, _ = netip.ParseAddrPort(hop) // some write the port, too
			addr = from.Addr()
		}
	}
	return addr
}
