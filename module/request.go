package minimize

import (
	"net/http"

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

// asSent returns method and cleaned path as the client sent them, before any rewrite: rules name what clients see.
func asSent(r *http.Request) (method, path string) {
	method, path = r.Method, r.URL.Path
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		method, path = original.Method, original.URL.Path
	}
	return method, caddyhttp.CleanPath("/"+path, true)
}
