package rules

import (
	"net/url"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// mechanisms are the grounds on which data may leave its home: GDPR 45 (adequacy), 46 (scc, bcr) and 49 (derogation);
// PIPL 38 (security_assessment, standard_contract, certification), and what needs none of those three by article 5 of the
// CAC's 2024 Provisions on cross-border data flows (exempt_necessity).
var mechanisms = []string{"adequacy", "scc", "bcr", "derogation", "security_assessment", "standard_contract", "certification", "exempt_necessity"}

// recipient reads an entry of `recipients`.
func (p *parser) recipient(name, n *yaml.Node) Recipient {
	r := Recipient{Pos: p.at(name), Name: p.word(name).Name}
	p.mapping(n, "a recipient", keys{
		"kind":        set(&r.Kind, p.kind),
		"hosts":       list(p, &r.Hosts, p.host),
		"purposes":    list(p, &r.Purposes, p.word),
		"country":     set(&r.Country, p.home),
		"credentials": list(p, &r.Credentials, p.header),
		"contract":    p.contract(&r),
		"suspended":   set(&r.Suspended, p.from),
		"since":       set(&r.Since, p.positive),
		"denied":      set(&r.Denied, p.denied),
		"undeclared":  set(&r.Undeclared, p.undeclared),
		"transfer":    func(n *yaml.Node) { r.Transfer = p.transfer(n) },
	}, "kind")
	return r
}

func (p *parser) kind(n *yaml.Node) string {
	return p.oneOf(n, "a recipient's kind", kindsOfRecipients...)
}

func (p *parser) denied(n *yaml.Node) string {
	return p.oneOf(n, "what happens to denied data", "block", "strip")
}

func (p *parser) contract(r *Recipient) func(*yaml.Node) {
	return func(n *yaml.Node) {
		p.mapping(n, "a contract", keys{
			"from":  set(&r.From, p.from),
			"until": set(&r.Until, p.until),
		})
		if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
			p.fail(n, "a contract needs `from`, `until` or both, or nothing could ever be said to be in force")
		}
		p.period(n, r.From, r.Until)
	}
}

func (p *parser) transfer(n *yaml.Node) *Transfer {
	t := &Transfer{Pos: p.at(n)}
	p.mapping(n, "a transfer", keys{
		"mechanism":  set(&t.Mechanism, p.mechanism),
		"assessment": set(&t.Assessment, p.text),
		"consent":    set(&t.Consent, p.level),
		"categories": list(p, &t.Categories, p.dataWord),
		"from":       set(&t.From, p.from),
		"until":      set(&t.Until, p.until),
	}, "mechanism")
	p.period(n, t.From, t.Until)
	return t
}

func (p *parser) mechanism(n *yaml.Node) string { return p.oneOf(n, "a mechanism", mechanisms...) }

func (p *parser) period(n *yaml.Node, from, until time.Time) {
	if !from.IsZero() && !until.IsZero() && !from.Before(until) {
		p.fail(n, "`from` is not before `until`")
	}
}

// host reads the origin of a recipient (RFC 6454): a scheme, a host, a port if it is not the scheme's own.
func (p *parser) host(n *yaml.Node) string {
	s := p.text(n)
	u, err := url.Parse(s)
	if s == "" {
		return ""
	}
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || s != u.Scheme+"://"+u.Host {
		p.fail(n, "a host is written as https://ads.example.com, with a port if needed and nothing behind it")
		return ""
	}
	return s
}

// header reads the name of a header field, a token of RFC 9110 5.6.2.
func (p *parser) header(n *yaml.Node) string {
	s := p.text(n)
	if strings.ContainsFunc(s, func(r rune) bool { return !isLetterOrDigit(r) && !strings.ContainsRune("!#$%&'*+-.^_`|~", r) }) {
		p.fail(n, "`%s` is no header name", shorten(s))
	}
	return s
}
