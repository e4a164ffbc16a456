package minimize

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-minimize/minimize/rules"
)

var leadsAway = &rules.Refusal{Reason: rules.Unreadable, Detail: "the recipient redirects to a host that is not registered"}

// redirectsAway reports whether an answer redirects to where the recipient is not registered.
func (p *parcel) redirectsAway(res *http.Response) bool {
	return res.StatusCode >= 300 && res.StatusCode <= 399 &&
		slices.ContainsFunc(res.Header["Location"], func(l string) bool { return p.registered(l, res.Request.URL) == nil })
}

// relocate has the recipient's Location lead to this route instead: its own host is not the caller's to ask, and the path
// there has a prefix here. What it holds is judged afterwards, as what comes in.
func (p *parcel) relocate(res *http.Response) {
	var here []string
	for _, location := range res.Header["Location"] {
		if to := p.registered(location, res.Request.URL); to != nil {
			if own, ok := p.here(to); ok {
				here = append(here, own)
			}
		}
	}
	if delete(res.Header, "Location"); len(here) > 0 {
		res.Header["Location"] = here
	}
}

// registered is where a Location leads, seen from what the recipient was asked; nil: to where it is not registered.
func (p *parcel) registered(location string, asked *url.URL) *url.URL {
	to, err := asked.Parse(location)
	if err != nil || strings.Contains(location, `\`) { // browsers read it as a slash: url.spec.whatwg.org, 4.4
		return nil
	}
	o := originOf(p.entry, dialOf(to.Scheme, to.Host))
	if o == nil || o.scheme != to.Scheme || to.User != nil {
		return nil
	}
	return to
}

// here is the reference that leads to a place of the recipient through this route. ok is false where the path was rewritten
// other than by taking a prefix away, so that nobody knows the way back.
func (p *parcel) here(to *url.URL) (reference string, ok bool) {
	prefix := ""
	if original, rewritten := p.req.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); rewritten {
		if prefix, ok = strings.CutSuffix(original.URL.EscapedPath(), p.req.URL.EscapedPath()); !ok {
			return "", false
		}
	}
	own := url.URL{Path: to.Path, RawPath: to.RawPath, RawQuery: to.RawQuery, Fragment: to.Fragment, RawFragment: to.RawFragment}
	path := prefix + own.EscapedPath()
	if !isClear(&own) { // an encoded dot step leads out of the prefix: url.spec.whatwg.org, 4.4
		return "", false
	}
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") { // a host would be read into it: RFC 3986 section 4.2
		return "", false
	}
	own.Path, own.RawPath = "", ""
	return path + own.String(), true
}
