package minimize

import (
	"encoding/base64"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/detect"
)

// depth says how closely a header's values are looked at.
type depth uint8

const (
	depthDrop    depth = iota
	depthPlain         // as they stand
	depthEncoded       // also in what they may be the encoding of
	depthNamed         // also by what the header's name says
	depthCookie        // as a Set-Cookie line
)

// passingHeaders are the response headers that may leave, where nothing personal is found in their values. What is not
// here is dropped: validators and digests confirm a guess about the unjudged body (RFC 9110 section 8.8, RFC 9530), ranges
// and trailers carry parts of it, Alt-Svc and X-Accel-Redirect name ways around us.
var passingHeaders = map[depth][]string{
	depthPlain: {
		"Content-Type", "Content-Language", "Date", "Allow", "Retry-After", "Vary", "Deprecation", "Sunset", "Api-Version", "X-Total-Count",
		"Ratelimit", "Ratelimit-Policy", "Ratelimit-Limit", "Ratelimit-Remaining", "Ratelimit-Reset",
		"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset",
		"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Allow-Headers",
		"Access-Control-Allow-Methods", "Access-Control-Expose-Headers", "Access-Control-Max-Age",
		"Content-Security-Policy", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Permissions-Policy",
		"Referrer-Policy", "Strict-Transport-Security", "X-Frame-Options",
	},
	depthEncoded: {"Content-Disposition", "Location", "Www-Authenticate", "X-Request-Id", "X-Correlation-Id", "Request-Id"},
	depthCookie:  {"Set-Cookie"},
}

// neverPassing are headers that no configuration may let through.
var neverPassing = []string{
	"Accept-Ranges", "Age", "Alt-Svc", "Cache-Control", "Connection", "Content-Digest", "Content-Encoding", "Content-Length",
	"Content-Location", "Content-Md5", "Content-Range", "Digest", "Etag", "Expires", "Last-Modified", "Repr-Digest", "Set-Cookie",
	"Signature", "Signature-Input", "Trailer", "Transfer-Encoding", "Upgrade", "X-Accel-Redirect", "X-Sendfile", decisionHeader,
}

// headerRules are the headers of a route's answers.
type headerRules struct {
	passing map[string]depth
	cache   []string
	vary    []string
}

func newHeaderRules(h *Handler) (headerRules, error) {
	rules := headerRules{passing: usualHeaders(), cache: []string{h.Cache}, vary: h.caller.headers()}
	if h.Cache == "" {
		rules.cache = []string{"private, no-store"}
	}
	for _, name := range h.ResponseHeaders {
		name = http.CanonicalHeaderKey(name)
		if slices.Contains(neverPassing, name) {
			return rules, fmt.Errorf("the response header %s tells about the unjudged answer and cannot pass", name)
		}
		rules.passing[name] = depthNamed
	}
	return rules, nil
}

// usualHeaders are passingHeaders by their names.
func usualHeaders() map[string]depth {
	passing := make(map[string]depth)
	for depth, names := range passingHeaders {
		for _, name := range names {
			passing[name] = depth
		}
	}
	return passing
}

// cleaned returns what of the upstream's header may leave, and counts what was found in it.
func (m *message) cleaned(upstream http.Header, table *rules.Table) (http.Header, *rules.Report) {
	sieve := headerSieve{scope: m.scope, table: table, host: m.host, report: new(rules.Report)}
	clean := sieve.clean(upstream, m.h.headers.passing, func(name string, dropped int) {
		if m.canary {
			return
		}
		m.h.metrics.headers.WithLabelValues(strings.ToLower(name)).Add(float64(dropped))
	})
	clean["Cache-Control"] = m.h.headers.cache
	clean["X-Content-Type-Options"] = nosniff
	clean["Vary"] = slices.Concat(clean["Vary"], m.h.headers.vary)
	clean[decisionHeader] = []string{m.id}
	return clean, sieve.report
}

// clean returns what of an answer's headers may leave, and tells how many values of which names did not.
func (s *headerSieve) clean(from http.Header, passing map[string]depth, tell func(name string, dropped int)) http.Header {
	clean := make(http.Header, len(from)+4)
	for name, values := range from {
		depth := passing[name]
		if depth == depthDrop {
			continue
		}
		kept := s.sift(name, values, depth)
		if len(kept) > 0 {
			clean[name] = kept
		}
		if len(kept) < len(values) {
			tell(name, len(values)-len(kept))
		}
	}
	return clean
}

var nosniff = []string{"nosniff"} // against reading JSON as HTML

// sift returns the values that may leave. Where that is all of them, it is the same slice.
func (s *headerSieve) sift(name string, values []string, depth depth) []string {
	var kept []string // nil while all stay as they are
	for i, value := range values {
		left, stays := s.pass(name, value, depth)
		if kept == nil && (!stays || left != value) {
			kept = append(make([]string, 0, len(values)), values[:i]...)
		}
		if kept != nil && stays {
			kept = append(kept, left)
		}
	}
	if kept == nil {
		return values
	}
	return kept
}

// headerSieve finds personal data that this caller may not have as it is in header values.
type headerSieve struct {
	scope *rules.Scope
	table *rules.Table
	host  string

	report *rules.Report      // what was found in headers; nil: nobody counts
	seen   []rules.CategoryID // of the value that is judged
}

// newHeaderSieve finds what of a request's headers may not pass.
func newHeaderSieve(j *rules.Judge) *headerSieve {
	return &headerSieve{scope: j.Scope(), table: j.Table(j.MessageFacts())}
}

// pass returns a header value that may leave, or false, and counts what was found in it.
func (s *headerSieve) pass(name, value string, depth depth) (string, bool) {
	s.seen = s.seen[:0]
	kept, stays := s.judge(name, value, depth)
	action := rules.Keep
	if !stays || kept != value {
		action = rules.Strip
	}
	for _, c := range s.seen {
		s.report.Add(c, action)
	}
	return kept, stays
}

// judge returns a header value that may leave, or false.
func (s *headerSieve) judge(name, value string, depth depth) (string, bool) {
	if depth == depthCookie {
		return value, !s.holdsCookie(value)
	}
	var meaning rules.Name
	if depth == depthNamed {
		meaning = s.scope.Name([]byte(name))
	}
	text := value
	if name == "Permissions-Policy" {
		text = policyFeatures.ReplaceAllString(value, "$1")
	}
	if s.named(&meaning) || s.holds(text, meaning.Context, depth >= depthEncoded) {
		if name == "Content-Type" || name == "Content-Disposition" {
			// The bare type is a fixed word; the parameters held what was found.
			bare, _, err := mime.ParseMediaType(value)
			return bare, err == nil && !s.holds(bare, 0, false)
		}
		return "", false
	}
	if name == "Location" && !s.sameSite(value) {
		return "", false
	}
	return value, true
}

// policyFeatures are what browsers can be denied, in words that are also names of data: https://www.w3.org/TR/permissions-policy/.
var policyFeatures = regexp.MustCompile(`\b(?:bluetooth|browsing-topics|geolocation|identity-credentials-get|otp-credentials|publickey-credentials-(?:create|get)|serial)=(\(|\*|self)`)

// sameSite reports whether a Location leads to this site, by a URL without personal data.
func (s *headerSieve) sameSite(location string) bool {
	u, err := url.Parse(location)
	if err != nil || strings.Contains(location, `\`) || u.User != nil || u.Host != "" && !strings.EqualFold(u.Host, s.host) || u.Host == "" && u.Scheme != "" {
		return false
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return false
	}
	for name, values := range query {
		meaning := s.scope.Name([]byte(name))
		if s.named(&meaning) || slices.ContainsFunc(values, func(v string) bool { return s.holds(v, meaning.Context, true) }) {
			return false
		}
	}
	return true
}

// holdsCookie reports whether a Set-Cookie line carries personal data: under its name, in its value, or in what they
// are the base64 or percent encoding of. A cookie cannot be masked and still work.
func (s *headerSieve) holdsCookie(line string) bool {
	cookie, err := http.ParseSetCookie(line)
	if err != nil {
		return true
	}
	meaning := s.scope.Name([]byte(unescaped(cookie.Name))) // as PHP and Rack read it
	return s.named(&meaning) || s.holds(cookie.Value, meaning.Context, true) || s.holds(line, 0, true)
}

// named reports whether a name declares its value to be something that may not leave as it is.
func (s *headerSieve) named(n *rules.Name) bool {
	if slices.ContainsFunc(n.Data, s.withheld) {
		return true
	}
	label := s.scope.Key(n, nil)
	return label != nil && !label.Silent && s.withheld(label.Category)
}

func (s *headerSieve) withheld(c rules.CategoryID) bool {
	if s.report != nil && c != 0 && !slices.Contains(s.seen, c) {
		s.seen = append(s.seen, c)
	}
	return s.table.Decide(c).Action != rules.Keep
}

// holds reports whether something that may not leave as it is can be found in the text or, where asked, in what it encodes.
func (s *headerSieve) holds(text string, c detect.Context, encoded bool) bool {
	if !encoded {
		return !isPlain(text) && s.found(text, c) || hasParameters(text) && s.assigns(text)
	}
	return s.shows(text, c) || s.hides(text, c)
}

// hasParameters reports whether a value has others than the one that nearly every answer has: its charset, or its max-age.
func hasParameters(text string) bool {
	before, after, ok := strings.Cut(text, "=")
	return ok && (strings.Contains(after, "=") || before != "max-age" && !strings.HasSuffix(before, "; charset"))
}

// hides reports whether something is in what a text encodes, once or twice.
func (s *headerSieve) hides(text string, c detect.Context) bool {
	for _, inner := range unwrapped(text) {
		if s.shows(inner, c) || slices.ContainsFunc(unwrapped(inner), func(t string) bool { return s.shows(t, c) }) {
			return true
		}
	}
	return false
}

// shows reports whether detectors or names find something in a text as it stands.
func (s *headerSieve) shows(text string, c detect.Context) bool {
	return s.found(text, c) || s.assigns(text)
}

// assigns reports whether a text gives a value to a name that declares it to be something that may not leave as it is.
func (s *headerSieve) assigns(text string) bool {
	var room [8]*rules.Label
	return slices.ContainsFunc(s.scope.Assigned(room[:0], []byte(text)), func(l *rules.Label) bool { return s.withheld(l.Category) })
}

// isPlain reports whether a text has letters only, and signs between them: application/json, en-GB, GET, *. No detector
// finds anything in such a one.
func isPlain(text string) bool {
	for _, c := range []byte(text) {
		if (c|0x20 < 'a' || c|0x20 > 'z') && strings.IndexByte("/-+,;=* ", c) < 0 {
			return false
		}
	}
	return true
}

func (s *headerSieve) found(text string, c detect.Context) bool {
	var room [8]rules.Hit
	return slices.ContainsFunc(s.scope.Detect(room[:0], []byte(text), c), func(h rules.Hit) bool { return s.withheld(h.Category) })
}

// base64Codings are tried without their padding.
var base64Codings = []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding}

// unwrapped returns what the text may be the percent or base64 encoding of.
func unwrapped(text string) []string {
	var inner []string
	if strings.Contains(text, "%") {
		if s := unescaped(text); s != text { // also where not all of it is an encoding
			inner = append(inner, s)
		}
	}
	// A token or a signed cookie has parts.
	for piece := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(".:;,=|~!*'\"() ", r) }) {
		for _, coding := range base64Codings {
			// Shorter ones are words; 12 characters are 9 bytes, too few for any check digit.
			if trimmed := strings.TrimRight(piece, "="); len(trimmed) >= 12 {
				if b, err := coding.DecodeString(trimmed); err == nil {
					inner = append(inner, string(b))
				}
			}
		}
	}
	return inner
}
