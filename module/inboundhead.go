package minimize

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/body"
)

// unjudged are request headers that are no data: what a backend knows its clients by, and what is judged with the body.
var unjudged = []string{"Authorization", "Proxy-Authorization", "X-Api-Key", "Content-Length"}

// nameless are headers whose names say nothing of what is in them: our own page is no visit to others, and what proxies tell
// of how a request came is no address.
var nameless = slices.Concat(proxyHeaders, []string{"Referer"})

// trimmed is what of a request's head may come in.
type trimmed struct {
	judgedHead
	query    string
	original string              // the query before any rewrite
	header   map[string][]string // those that change; nothing: it goes
	changed  bool
}

// judgeHeadBeside judges the head by the candidate rules, if there are some.
func (a *arrival) judgeHeadBeside() {
	if a.rules.candidate != nil {
		a.beside = a.shadowHead(a.judgeBeside())
	}
}

// shadowHead judges the head and changes nothing, whatever happens.
func (a *arrival) shadowHead(j *rules.Judge) *judgedHead {
	s, head := &shadow{m: a.message}, new(judgedHead)
	s.try(func() error { head = &a.trim(j).judgedHead; return nil })
	if s.refusal != nil {
		head.refusal = s.refusal
	}
	return head
}

func (a *arrival) trim(j *rules.Judge) *trimmed {
	head := body.NewHead(j)
	t := &trimmed{header: make(map[string][]string)}
	if err := a.trimTarget(head, j, t); err != nil {
		t.refusal = refusalOf(err)
	} else if err := a.trimHeaders(head, j, t); err != nil {
		t.refusal = refusalOf(err)
	}
	t.report = *head.Report()
	if t.refusal == nil && a.signed && (t.changed || len(a.req.Trailer) > 0) {
		t.refusal = &rules.Refusal{Reason: rules.SignedBody, Detail: "a signed message (RFC 9421) passes unchanged or not at all"}
	}
	return t
}

// trimTarget judges the query. The path says which resource it is: without it there is no request.
func (a *arrival) trimTarget(head *body.Head, j *rules.Judge, t *trimmed) (err error) {
	u := a.req.URL
	if u.Opaque != "" || u.User != nil || !slices.Contains([]string{"", "http", "https"}, u.Scheme) {
		return &rules.Refusal{Reason: rules.Unreadable, Detail: "reading a target that is no path"}
	}
	if err := a.judgeHost(head, j); err != nil {
		return err
	}
	if t.query, err = head.Query(u.RawQuery); err != nil {
		return err
	}
	t.changed = t.query != u.RawQuery
	original := originalQuery(a.req)
	if original == nil || *original == u.RawQuery {
		t.original = t.query
		return nil
	}
	// Its values are counted once; placeholders and FastCGI read it too.
	t.original, err = body.NewHead(j).Query(*original)
	return err
}

// judgeHost refuses a host in which something is found that may not come in. A site for any host, or for any host below a
// domain, lets the client choose it. Without it a request is to another site, so nothing of it can be left out.
func (a *arrival) judgeHost(head *body.Head, j *rules.Judge) error {
	if a.req.Host == "" || isAddress(a.req.Host) {
		return nil
	}
	sieve := newHeaderSieve(j)
	left, stays, err := head.Text("", a.req.Host)
	if err == nil && (!stays || left != a.req.Host || sieve.hides(left, 0)) {
		return &rules.Refusal{Reason: rules.Unreadable, Detail: "the host holds what may not be collected"}
	}
	return err
}

// isAddress reports whether a host is an address, with or without a port: that of a server, not of a client.
func isAddress(host string) bool {
	if with, err := netip.ParseAddrPort(host); err == nil {
		return with.Addr().Zone() == ""
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Zone() == ""
}

// originalQuery is the query as it came, before any rewrite; nil: nobody remembers.
func originalQuery(r *http.Request) *string {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return &original.URL.RawQuery
	}
	return nil
}

func (a *arrival) trimHeaders(head *body.Head, j *rules.Judge, t *trimmed) error {
	sieve := newHeaderSieve(j)
	for name, values := range a.req.Header {
		if name != "Cookie" && (slices.Contains(unjudged, name) || slices.Contains(a.h.caller.trusted, name) || a.identifies(name)) {
			continue
		}
		var kept []string
		for _, value := range values {
			left, stays, err := a.trimHeader(head, sieve, name, value)
			if err != nil {
				return err
			}
			if stays {
				kept = append(kept, left)
			}
		}
		if !slices.Equal(kept, values) {
			t.header[name], t.changed = kept, true
		}
	}
	return nil
}

// trimHeader judges one value. One that cannot be read is left out: it may be the client's neighbor who set it.
func (a *arrival) trimHeader(head *body.Head, sieve *headerSieve, name, value string) (left string, stays bool, err error) {
	switch {
	case name == "Cookie":
		return a.trimCookies(head, sieve, value)
	case name == "Content-Type":
		left, stays = sieve.mediaType(a.req, value)
		return left, stays, nil
	case attesting[name] != nil:
		return value, sieve.attests(a.req, name, value), nil
	case slices.Contains(nameless, name):
		left, stays, err = head.Text("", value)
	default:
		left, stays, err = judgeHeader(head, name, value)
	}
	return left, stays && (left != "" || value == "") && !sieve.hides(left, 0), readError(err)
}

// mediaType is what of a Content-Type may come in: a word that a client made up may be the name of something, or in capitals
// that of somebody, and without a body there are no parts that a boundary could stand between.
func (s *headerSieve) mediaType(r *http.Request, value string) (string, bool) {
	given, _, _ := strings.Cut(value, ";")
	mediaType := strings.ToLower(given)
	meaning := s.scope.Name([]byte(mediaType))
	switch kind := (requestKind{mediaType: mediaType}); {
	case kind.coined() && s.named(&meaning):
		return "", false
	case r.ContentLength == 0 && strings.HasPrefix(mediaType, "multipart/"):
		value = mediaType
	case mediaType != given:
		value = mediaType + value[len(given):]
	}
	return s.pass("Content-Type", value, depthEncoded)
}

// trimCookies judges each cookie by its own name. What the client is known by stays whole.
func (a *arrival) trimCookies(head *body.Head, sieve *headerSieve, value string) (string, bool, error) {
	var kept []string
	changed := false
	for pair := range strings.SplitSeq(value, ";") {
		pair = strings.Trim(pair, " \t")
		name, _, named := strings.Cut(pair, "=")
		if named && a.identifies(name) {
			kept = append(kept, pair)
			continue
		}
		left, stays, err := head.Cookie(pair)
		if err := readError(err); err != nil {
			return "", false, err
		}
		stays = stays && !sieve.hides(left, 0)
		if changed = changed || !stays || left != pair; stays {
			kept = append(kept, left)
		}
	}
	if !changed {
		return value, true, nil
	}
	return strings.Join(kept, "; "), len(kept) > 0, nil
}

// readError is an error of judging but for that something cannot be read.
func readError(err error) error {
	if refusal, ok := errors.AsType[*rules.Refusal](err); ok && refusal.Reason == rules.Unreadable {
		return nil
	}
	return err
}

// identifies reports whether by its name a header or a cookie is what the backend knows its clients by. Without it a request
// is another one.
func (a *arrival) identifies(name string) bool {
	meaning := a.scope.Name([]byte(name))
	label := a.scope.Key(&meaning, nil)
	if label == nil || len(meaning.Data) > 0 {
		return false
	}
	category := a.scope.Rules().Categories()[label.Category].Name
	return rules.AuthToken.Contains(category) || rules.Category("session").Contains(category)
}

// apply changes the request itself, as handlers do: placeholders read it.
func (t *trimmed) apply(r *http.Request) {
	for name, kept := range t.header {
		if len(kept) == 0 {
			delete(r.Header, name)
		} else {
			r.Header[name] = kept
		}
	}
	repl, _ := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if original := originalQuery(r); original != nil && *original != t.original {
		*original = t.original
		if repl != nil { // by itself it reads what nobody can change
			repl.Set("http.request.orig_uri", r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request).URL.RequestURI())
		}
	}
	if t.query != r.URL.RawQuery {
		r.URL.RawQuery = t.query
		r.RequestURI = r.URL.RequestURI()
	}
}
