package minimize

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/body"
)

// What is not sent to a recipient, whatever the rules say. A digest confirms a guess about what was taken out of a body,
// a token is not the recipient's unless it is registered as its credentials, and what a proxy says of hosts is ours.
var neverSent = []string{
	"Authorization", "Proxy-Authorization", "X-Auth-Token", "X-Access-Token", "X-Api-Key", "X-Csrf-Token", "X-Xsrf-Token",
	"Content-Digest", "Repr-Digest", "Digest", "Content-Md5", "Content-Length", "Trailer", "Early-Data",
	"User-Agent", // it tells a person's device and what it runs; an agent of ours can be among the credentials
	"X-Forwarded-Host", "X-Forwarded-Server", decisionHeader,
	// Who signed in, as authenticating proxies tell a backend: Authelia, Grafana, Kong, APISIX, RFC 9440, and below.
	"Remote-User", "Remote-Name", "Remote-Email", "Remote-Group", "Remote-Groups", "X-Remote-User", "X-Remote-Group", "X-Remote-Groups",
	"X-User-Id", "X-Userinfo", "X-Id-Token", "X-Authenticated-User", "X-Authenticated-Userid", "X-Credential-Identifier",
	"X-Credential-Username", "X-Anonymous-Consumer", "Client-Cert", "Client-Cert-Chain",
}

// neverSentFrom are beginnings of such headers: of oauth2-proxy, Grafana, Tailscale, Kong, Azure, AWS, Google, Cloudflare, authentik,
// Pomerium and Vouch.
var neverSentFrom = []string{
	"X-Auth-Request-", "X-Webauth-", "Tailscale-User-", "X-Consumer-", "X-Ms-Client-Principal", "X-Ms-Token-", "X-Amzn-Oidc-",
	"X-Goog-Authenticated-User-", "X-Goog-Iap-", "Cf-Access-", "X-Authentik-", "X-Pomerium-", "X-Vouch-",
}

// neverSentTo are ends of them: what was in a client's certificate.
var neverSentTo = []string{"-Client-Cert", "-Client-Cert-Chain", "-S-Dn", "-Subject-Dn", "-Client-Principal"}

// isNeverSent reports whether a header is not for a recipient, whatever the rules say.
func isNeverSent(name string) bool {
	name = hyphenated(name)
	return slices.Contains(neverSent, name) || slices.ContainsFunc(neverSentFrom, func(from string) bool { return strings.HasPrefix(name, from) }) ||
		slices.ContainsFunc(neverSentTo, func(to string) bool { return strings.HasSuffix(name, to) })
}

// ambient are the headers that clients and proxies add by themselves. What may not leave of them is left out, and the rest
// of the message goes: nobody meant to send it.
var ambient = []string{
	"Cookie", "Referer", "Via", "Origin", "From", "Dnt", "Sec-Gpc", "X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "X-Real-Ip",
	"X-Client-Ip", "X-Cluster-Client-Ip", "Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "Fastly-Client-Ip", "X-Request-Id",
	"X-Correlation-Id", "Request-Id", "Traceparent", "Tracestate", "Baggage",
}

// authenticating are the headers that callers prove with who they are.
var authenticating = []string{"Authorization", "Cookie", "Proxy-Authorization"}

// judgeHead returns the request as it may be sent, but for its body.
func (p *parcel) judgeHead(ctx context.Context) (*http.Request, *rules.Refusal) {
	head := body.NewHead(p.judged)
	defer func() { addReport(&p.report, head.Report()) }()
	out := (&http.Request{
		Method: p.req.Method, Host: p.origin.host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: make(http.Header),
	}).WithContext(ctx)
	var err error
	if conditional(p.req) {
		return nil, namesVersion
	}
	if out.URL, err = p.judgeURL(head); err != nil {
		return nil, refusalOf(err)
	}
	sifter := &requestSifter{judge: p.judged, method: p.req.Method, credentials: p.entry.Credentials, rest: p.t.rest, ours: p.ours}
	if out.Header, err = sifter.sift(head, p.req.Header); err != nil {
		return nil, refusalOf(err)
	}
	return out, nil
}

func (p *parcel) judgeURL(head *body.Head) (*url.URL, error) {
	from := p.req.URL
	if from.Opaque != "" || from.User != nil {
		return nil, &rules.Refusal{Reason: rules.Unreadable, Detail: "reading a target that is no path"}
	}
	escaped, err := head.Path(from.EscapedPath())
	if err != nil {
		return nil, err
	}
	u := &url.URL{Scheme: p.origin.scheme, Host: p.origin.dial, RawPath: escaped, ForceQuery: from.ForceQuery}
	if u.Path, err = url.PathUnescape(escaped); err != nil {
		return nil, &rules.Refusal{Reason: rules.Unreadable, Detail: "reading a path"}
	}
	if from.RawQuery != "" {
		u.RawQuery, err = head.Query(from.RawQuery)
	}
	return u, err
}

// ours reports whether a header tells us who the caller is: the recipient's own would have been set by the configuration.
func (p *parcel) ours(name string, values []string) bool {
	return p.t.authenticates && slices.Contains(authenticating, name) && slices.Equal(values, p.asked.Header[name])
}

// requestSifter says what of a request's headers may leave for a recipient.
type requestSifter struct {
	judge       *rules.Judge
	method      string
	credentials []string                                // headers that the recipient knows us by
	ours        func(name string, values []string) bool // of those, what tells us who asks
	rest        []string                                // headers that tell us who asks, and nobody else
}

func (s *requestSifter) sift(head *body.Head, from http.Header) (http.Header, error) {
	to := make(http.Header)
	sieve := newHeaderSieve(s.judge) // for what is encoded in a value
	for name, values := range from {
		name = http.CanonicalHeaderKey(name)
		switch {
		case s.credential(name) && s.ours(name, values):
			continue
		case s.credential(name):
			to[name] = append(to[name], values...)
			continue
		case name == "Signature" || name == "Signature-Input":
			return nil, &rules.Refusal{Reason: rules.SignedBody, Detail: "a signed message (RFC 9421) cannot be minimized"}
		case slices.Contains(conditions, name) && !existing(s.method, name, values):
			continue
		case name == "Content-Type", isNeverSent(name), isStripped(name), slices.Contains(s.rest, name):
			continue
		}
		for _, value := range values {
			kept, stays, err := judgeHeader(head, name, value)
			switch {
			case bearsToken(value): // whatever it is called
			case err != nil && !slices.Contains(ambient, name):
				return nil, err
			case err != nil:
				head.LeftOut()
			case err == nil && stays && kept != "" && !sieve.hides(kept, 0):
				to[name] = append(to[name], kept)
			}
		}
	}
	if _, ok := to["User-Agent"]; !ok {
		to["User-Agent"] = []string{""} // or net/http sends its own
	}
	return to, nil
}

// proxyHeaders are what proxies tell with of how a request came to them, besides from where.
var proxyHeaders = []string{
	"X-Forwarded-Host", "X-Forwarded-Method", "X-Forwarded-Path", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Proto",
	"X-Forwarded-Protocol", "X-Forwarded-Scheme", "X-Forwarded-Server", "X-Forwarded-Ssl", "X-Forwarded-Uri",
}

// judgeHeader judges a header's value by its name. One that tells of a client in a proxy's words, such as X-Forwarded-Email,
// is an address of theirs by its beginning, and something else by its end.
func judgeHeader(head *body.Head, name, value string) (left string, stays bool, err error) {
	told, ok := strings.CutPrefix(name, "X-Forwarded-")
	if !ok || name == "X-Forwarded-For" || slices.Contains(proxyHeaders, name) {
		return head.Header(name, value)
	}
	if left, stays, err = head.Header(told, value); err != nil || !stays {
		return left, stays, err
	}
	return head.Header(name, left)
}

// bearsToken reports whether a value is written like an Authorization (RFC 9110 section 11.6.2): that of the caller, under
// another name.
func bearsToken(value string) bool {
	scheme, token, found := strings.Cut(strings.TrimSpace(value), " ")
	return found && token != "" && slices.ContainsFunc([]string{"Basic", "Bearer", "Digest", "Negotiate", "DPoP"}, func(s string) bool { return strings.EqualFold(s, scheme) })
}

// credential reports whether a header is registered as what the recipient knows us by.
func (s *requestSifter) credential(name string) bool {
	return slices.ContainsFunc(s.credentials, func(c string) bool { return strings.EqualFold(c, name) })
}

// refusalOf is an error of judging as a refusal: it is one, or judging failed.
func refusalOf(err error) *rules.Refusal {
	if refusal, ok := errors.AsType[*rules.Refusal](err); ok {
		return refusal
	}
	return &rules.Refusal{Reason: rules.Unavailable, Detail: "the request cannot be judged at the moment"}
}
