package minimize

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-minimize/minimize/rules"
)

// Caller says who asks. Every field is a constant or holds placeholders, and only what authentication established counts:
// {claim.…} of a verified token, {http.auth.user.…} of a Caddy authentication, {http.request.tls.client.…} of a verified
// certificate, {env.…}, and a request header where Trust says which peers may set it.
type Caller struct {
	// JWT verifies bearer tokens.
	JWT *JWT `json:"jwt,omitempty"`

	// ID is the caller's id, also as a data subject. A caller without one is anonymous.
	ID string `json:"id,omitempty"`

	// Role is the caller's role or roles, separated by spaces or commas, or a claim that is a list.
	Role string `json:"role,omitempty"`

	// Guardian is the id of a data subject that the caller speaks for, or a claim that is a list.
	Guardian string `json:"guardian,omitempty"`

	// Country is where the caller is (ISO 3166-1 alpha-2): a claim, or a constant on an internal site.
	Country string `json:"country,omitempty"`

	// Organisation is the caller's organisation.
	Organisation string `json:"organisation,omitempty"`

	// Case is the case that the caller acts in: the id of one that the consent store knows, or a claim that is the case
	// itself, an object with id, kind, subject and ends (RFC 3339, or seconds since 1970).
	Case string `json:"case,omitempty"`

	// Purpose is why the caller asks. A value that the client may choose, such as {http.request.header.Purpose}, needs Purposes.
	Purpose string `json:"purpose,omitempty"`

	// Purposes are the purposes that the caller may choose from: constants, or a claim that is a list.
	Purposes []string `json:"purposes,omitempty"`

	// Claims are further claims by name, for rules that ask with `when`. A token's claims are there by themselves.
	Claims map[string]string `json:"claims,omitempty"`

	// Trust are the networks of the peers whose request headers count. From others the headers named here are deleted. Where
	// a database of countries is configured, their X-Forwarded-For says where a caller is.
	Trust []string `json:"trust,omitempty"`
}

// caller is a provisioned Caller. The zero caller is anonymous.
type caller struct {
	tokens       *tokens
	id           *template
	role         *template
	guardian     *template
	country      *template
	organisation *template
	acting       *template
	why          *template
	within       []*template
	claims       map[string]*template
	trust        []netip.Prefix
	trusted      []string // the request headers that count from trusted peers
}

// identity is who a request comes from, as far as authentication established it.
type identity struct {
	r       *http.Request
	repl    *caddy.Replacer
	claims  map[string]any
	trusted bool // the peer may set headers
	err     error
}

func (c *Caller) provision(app *App, logger *zap.Logger) (*caller, error) {
	p := new(caller)
	if c == nil {
		return p, nil
	}
	for _, network := range c.Trust {
		prefix, err := parseNetwork(network)
		if err != nil {
			return nil, fmt.Errorf("trust: %w", err)
		}
		p.trust = append(p.trust, prefix)
	}
	if c.JWT != nil {
		var err error
		if p.tokens, err = c.JWT.provision(app, logger); err != nil {
			return nil, fmt.Errorf("jwt: %w", err)
		}
	}
	if err := p.parseAll(c); err != nil {
		return nil, err
	}
	return p, p.check(c, app.geo)
}

func (p *caller) parseAll(c *Caller) (err error) {
	for _, field := range []struct {
		to   **template
		name string
		text string
	}{
		{&p.id, "id", c.ID}, {&p.role, "role", c.Role}, {&p.guardian, "guardian", c.Guardian}, {&p.country, "country", c.Country},
		{&p.organisation, "organisation", c.Organisation}, {&p.acting, "case", c.Case},
	} {
		if *field.to, err = p.parse(field.name, field.text, callerSources); err != nil {
			return err
		}
	}
	allowed := callerSources
	if len(c.Purposes) > 0 {
		allowed = chosenSources
	}
	if p.why, err = p.parse("purpose", c.Purpose, allowed); err != nil {
		return err
	}
	for _, text := range c.Purposes {
		t, err := p.parse("purpose", text, callerSources)
		if err != nil {
			return err
		}
		p.within = append(p.within, t)
	}
	p.claims = make(map[string]*template)
	for _, name := range slices.Sorted(maps.Keys(c.Claims)) {
		if p.claims[name], err = p.parse("claim "+name, c.Claims[name], callerSources); err != nil {
			return err
		}
	}
	return nil
}

// check reports what the fields say together that cannot be meant.
func (p *caller) check(c *Caller, geo *geoIP) error {
	switch {
	case p.why != nil && p.why.constant() && len(c.Purposes) > 0:
		return errors.New("a constant purpose leaves nothing to choose: leave `of` out")
	case p.country != nil && p.country.constant() && !rules.IsCountry(c.Country):
		return fmt.Errorf("country %q is no code of ISO 3166-1; write two capitals, such as CN or GB", c.Country)
	case len(c.Trust) > 0 && len(p.trusted) == 0 && geo == nil:
		return errors.New("trust: no field of the caller is a request header")
	}
	return nil
}

func parseNetwork(s string) (netip.Prefix, error) {
	if s == "private_ranges" {
		return netip.Prefix{}, errors.New("private_ranges is too wide for who may say who a caller is: list the proxies' networks")
	}
	if addr, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		return prefix, fmt.Errorf("%q is no address and no network like 10.0.0.0/8", s)
	}
	return prefix.Masked(), nil
}

// identify establishes who a request comes from.
func (p *caller) identify(r *http.Request) *identity {
	who := &identity{r: r, trusted: p.trusts(r.RemoteAddr)}
	who.repl, _ = r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if p.tokens != nil {
		who.claims, who.err = p.tokens.verify(r)
	}
	return who
}

// distrust deletes the headers that this peer may not set from the request itself, where placeholders read it too.
func (p *caller) distrust(r *http.Request) {
	if p.trusts(r.RemoteAddr) {
		return
	}
	for _, name := range p.trusted {
		r.Header.Del(name)
	}
}

// trusts asks about the peer itself, not about what it says of others in X-Forwarded-For.
func (p *caller) trusts(remote string) bool {
	if len(p.trust) == 0 {
		return false
	}
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && p.trustsAddress(addr)
}

func (p *caller) trustsAddress(addr netip.Addr) bool {
	return slices.ContainsFunc(p.trust, func(n netip.Prefix) bool { return n.Contains(addr.Unmap().WithZone("")) })
}

// resolve says what an identity is to the rules.
func (p *caller) resolve(who *identity) rules.Caller {
	c := rules.Caller{
		ID:           p.id.one(who),
		Organisation: p.organisation.one(who),
		Country:      strings.ToUpper(p.country.one(who)),
		Guardian:     p.guardian.all(who),
		Claims:       flatten(who.claims),
	}
	p.actsIn(who, &c)
	if !rules.IsCountry(c.Country) {
		c.Country = ""
	}
	for _, roles := range p.role.all(who) {
		c.Roles = append(c.Roles, splitRoles(roles)...)
	}
	for name, t := range p.claims {
		delete(c.Claims, name) // the configuration's word for it counts, even where it is empty
		if values := t.all(who); len(values) == 1 {
			c.Claims[name] = values[0]
		}
	}
	return c
}

// purpose is why the caller asks; "" where it may not claim what it says.
func (p *caller) purpose(who *identity) string {
	why := p.why.one(who)
	if len(p.within) == 0 {
		return why
	}
	for _, t := range p.within {
		if slices.Contains(t.all(who), why) {
			return why
		}
	}
	return ""
}

// constantRoles are the roles that the configuration itself names.
func (p *caller) constantRoles() []string {
	if p.role == nil || !p.role.constant() {
		return nil
	}
	return splitRoles(p.role.text)
}

func splitRoles(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' })
}

// purposes are the purposes that the configuration itself names.
func (p *caller) purposes() []string {
	var names []string
	for _, t := range append([]*template{p.why}, p.within...) {
		if t != nil && t.constant() {
			names = append(names, t.text)
		}
	}
	return names
}

// authenticates reports whether callers prove who they are in their requests, by a token or to a Caddy authentication.
func (p *caller) authenticates() bool {
	used := append(slices.Collect(maps.Values(p.claims)), p.id, p.role, p.guardian, p.country, p.organisation, p.acting, p.why)
	return p.tokens != nil || slices.ContainsFunc(append(used, p.within...), func(t *template) bool {
		return t != nil && slices.ContainsFunc(t.parts, func(q part) bool { return q.name != "" && q.source == sourceAuth })
	})
}

// headers are the request headers that an answer depends on, for Vary.
func (p *caller) headers() []string {
	names := slices.Clone(p.trusted)
	if p.tokens != nil {
		names = append(names, "Authorization")
	}
	if p.why != nil {
		names = append(names, p.why.headers()...)
	}
	if len(names) == 0 {
		names = []string{"Authorization"}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
