package minimize

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// strippedFromRequests are request headers whose answers could not be judged, or would tell about the unjudged body.
var strippedFromRequests = []string{
	"Accept-Encoding",                               // without it Go's transport asks for gzip itself and hands us the plain body; encode still compresses outside
	"Accept-Charset",                                // JSON is UTF-8 (RFC 8259 section 8.1)
	"A-Im", "Available-Dictionary", "Dictionary-Id", // deltas and dictionaries: RFC 3229, RFC 9842
	"Range", "If-Range", // a part of a body cannot be judged
	"Upgrade", "Http2-Settings", // what comes after an upgrade bypasses the writer
	"Sec-Websocket-Key", "Sec-Websocket-Protocol", "Sec-Websocket-Extensions", "Sec-Websocket-Version", "Sec-Websocket-Accept",
	"Te", "Expect",
	// The rules were chosen by the method and the path that the client sent. These say another one: to Rack, Symfony, Laravel
	// and Spring the first, to IIS, Symfony, Zend and Laminas X-Original-URL and X-Rewrite-URL; the others stand for the same
	// in ingresses, Traefik, Envoy and Azure, and some applications read them. X-Forwarded-Prefix stays: proxies in front
	// send it honestly, and it is for links alone.
	"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Method", "X-Original-Method", "X-Forwarded-Method",
	"X-Original-Url", "X-Original-Uri", "X-Original-Path", "X-Rewrite-Url", "X-Rewrite-Uri", "X-Override-Url", "X-Override-Uri",
	"X-Request-Uri", "X-Http-Path-Override", "X-Forwarded-Uri", "X-Forwarded-Path", "X-Replaced-Path", "X-Envoy-Original-Path",
	"X-Waws-Unencoded-Url",
	"X-Sendfile-Type", "X-Accel-Mapping", // have Rack::Sendfile answer with a way around us: CVE-2025-61780
}

// isStripped reports whether a request header is one of strippedFromRequests. CGI, and with it PHP, Python's WSGI and Rack,
// reads an underscore as a hyphen (RFC 3875 section 4.1.18).
func isStripped(name string) bool { return slices.Contains(strippedFromRequests, hyphenated(name)) }

// hyphenated is a header's canonical name where an underscore is a hyphen.
func hyphenated(name string) string {
	if strings.Contains(name, "_") {
		name = strings.ReplaceAll(name, "_", "-")
	}
	return http.CanonicalHeaderKey(name)
}

// conditions are request headers that name versions. A 304 confirms the unjudged body, and so does a 412.
var conditions = []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"}

// existing reports whether a condition asks only whether there is something: then it can go on with a method that writes.
func existing(method, name string, values []string) bool {
	return writes(method) && (name == "If-Match" || name == "If-None-Match") && len(values) == 1 && strings.TrimSpace(values[0]) == "*"
}

// writes reports whether a method is none that only reads (RFC 9110 section 9.2.1).
func writes(method string) bool {
	return !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions}, method)
}

// conditional reports whether a request writes only if a version is the one it names. Without its condition it would
// overwrite what somebody else wrote, and with it whoever guesses would learn what was taken out of an answer.
func conditional(r *http.Request) bool {
	return writes(r.Method) && slices.ContainsFunc(conditions, func(name string) bool {
		values := r.Header[name]
		// If-Modified-Since says nothing to who writes: RFC 9110 section 13.1.3.
		return len(values) > 0 && name != "If-Modified-Since" && !existing(r.Method, name, values)
	})
}

// readable returns the request as the upstream may see it, so that its answer can be judged. The header is a copy: what
// stands outside of us, such as encode, still reads the client's.
func readable(r *http.Request) *http.Request {
	r.Header = r.Header.Clone()
	for name := range r.Header {
		if isStripped(name) {
			delete(r.Header, name)
		}
	}
	for _, name := range conditions {
		if !existing(r.Method, name, r.Header[name]) {
			delete(r.Header, name)
		}
	}
	return r
}

// asSent returns method and cleaned path as the client sent them, before any rewrite: rules name what clients see. What
// upstreams commonly pass over, a slash at the end and ;parameters (RFC 3986 section 3.3), chooses no other rules.
// ok is false where upstreams read the path in different ways, so that nobody knows which rules it asks for.
func asSent(r *http.Request) (method, cleaned string, ok bool) {
	u := r.URL
	method = r.Method
	if original, rewritten := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); rewritten {
		method, u = original.Method, original.URL
	}
	return method, path.Clean("/" + strings.Join(stepsOf(u), "/")), isClear(u)
}

// stepsOf are the path's steps, without their parameters.
func stepsOf(u *url.URL) []string {
	steps := strings.Split(u.Path, "/")
	for i, step := range steps {
		steps[i], _, _ = strings.Cut(step, ";")
	}
	return steps
}

// isClear reports whether the path leads to the same place for every reader. Some take an encoded slash or a backslash for a
// slash, some go up at a dot step, some decode twice, some end at a NUL, some repair what is no UTF-8, and Windows and many a
// router leave out blanks and dots at the end of a step.
func isClear(u *url.URL) bool {
	escaped := strings.ToLower(u.EscapedPath())
	return !slices.ContainsFunc(stepsOf(u), hasLooseEnd) &&
		!strings.Contains(escaped, "%2f") && !strings.Contains(escaped, "%5c") && !strings.Contains(u.Path, `\`) &&
		utf8.ValidString(u.Path) && !strings.ContainsFunc(u.Path, unicode.IsControl) && unescaped(u.Path) == u.Path
}

// hasLooseEnd reports whether a step of a path is a dot step, or one that some reader shortens.
func hasLooseEnd(step string) bool {
	return strings.HasSuffix(step, ".") || step != strings.TrimSpace(step)
}

// unescaped is a text whose percent encodings are decoded, and what is none stays.
func unescaped(text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+3 <= len(text) {
			if b, err := hex.DecodeString(text[i+1 : i+3]); err == nil {
				out = append(out, b...)
				i += 2
				continue
			}
		}
		out = append(out, text[i])
	}
	return string(out)
}

// countable reports whether every reader counts the path's steps alike, so that one of them can name a data subject.
func countable(r *http.Request) bool {
	return !strings.Contains(r.URL.Path, "//") && !strings.Contains(r.URL.Path, ";")
}
