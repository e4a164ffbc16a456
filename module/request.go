package minimize

import (
	"net/http"
	"path"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// strippedFromRequests are request headers whose answers could not be judged, or would tell about the unjudged body.
var strippedFromRequests = []string{
	"Accept-Encoding",                               // without it Go's transport asks for gzip itself and hands us the plain body; encode still compresses outside
	"Accept-Charset",                                // JSON is UTF-8 (RFC 8259 section 8.1)
	"A-Im", "Available-Dictionary", "Dictionary-Id", // deltas and dictionaries: RFC 3229, RFC 9842
	"Range", "If-Range", // a part of a body cannot be judged
	"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", // a 304 confirms the unjudged body
	"Upgrade", "Http2-Settings", // what comes after an upgrade bypasses the writer
	"Te", "Expect",
	"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", // the rules were chosen by the method
}

// readable returns the request as the upstream may see it, so that its answer can be judged. The header is a copy: what
// stands outside of us, such as encode, still reads the client's.
func readable(r *http.Request) *http.Request {
	r.Header = r.Header.Clone()
	for _, name := range strippedFromRequests {
		delete(r.Header, name)
	}
	return r
}

// asSent returns method and cleaned path as the client sent them, before any rewrite: rules name what clients see. What
// upstreams commonly pass over, a slash at the end and ;parameters (RFC 3986 section 3.3), chooses no other rules.
// ok is false where the path holds an encoded slash, a backslash or a dot step: some upstreams read them one way and some
// another, so that nobody knows which rules it asks for.
func asSent(r *http.Request) (method, cleaned string, ok bool) {
	u := r.URL
	method = r.Method
	if original, rewritten := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); rewritten {
		method, u = original.Method, original.URL
	}
	steps := strings.Split(u.Path, "/")
	for i, step := range steps {
		if steps[i], _, _ = strings.Cut(step, ";"); steps[i] == "." || steps[i] == ".." {
			return method, path.Clean("/" + u.Path), false
		}
	}
	cleaned = path.Clean("/" + strings.Join(steps, "/"))
	escaped := u.EscapedPath()
	for i := strings.IndexByte(escaped, '%'); i >= 0 && i+3 <= len(escaped); i++ {
		if hex := escaped[i : i+3]; strings.EqualFold(hex, "%2F") || strings.EqualFold(hex, "%5C") {
			return method, cleaned, false
		}
	}
	return method, cleaned, !strings.Contains(u.Path, "\\")
}

// countable reports whether every reader counts the path's steps alike, so that one of them can name a data subject.
func countable(r *http.Request) bool {
	return !strings.Contains(r.URL.Path, "//") && !strings.Contains(r.URL.Path, ";")
}
