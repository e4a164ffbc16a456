package minimize

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/detect"
)

// redactor takes personal data out of log entries. It knows the base pack only: logs are written before it is known which
// rules hold, and also where none do.
type redactor struct {
	scope      *rules.Scope
	categories []rules.CategoryInfo
}

// baseRedactor is made when the first log needs it.
var baseRedactor = sync.OnceValues(func() (*redactor, error) {
	doc, err := rules.Parse("log", []byte("minimize: 1\n"))
	if err != nil {
		return nil, err
	}
	set, err := rules.Compile([]*rules.Document{doc}, rules.Options{})
	if err != nil {
		return nil, err
	}
	return &redactor{scope: set.Scope("GET", "/"), categories: set.Categories()}, nil
})

const (
	unreadable = "[unreadable]" // could not be decoded, so nobody knows what it is
	dropped    = "[dropped]"    // credentials, and the caller's name
)

// droppedKeys hold credentials or say who the caller is.
var droppedKeys = []string{
	"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token", "x-csrf-token", "www-authenticate",
	"user_id", "client_common_name", "sec-websocket-key",
	"sec-websocket-protocol", // browsers have no other place for a token
}

// addressKeys hold clients' addresses, which lose their last part. Elsewhere addresses of private networks stay: they are
// upstreams', and an error without them is of no use.
var addressKeys = []string{"remote_ip", "client_ip", "remote_addr", "remote", "x-forwarded-for", "x-real-ip", "forwarded", "cf-connecting-ip", "true-client-ip"}

// loggedMethods are those that may stand in a log: any other could be a word of the client's.
var loggedMethods = slices.Concat(sendable, []string{http.MethodConnect, http.MethodTrace})

// tellsOfClient reports whether a header tells in a proxy's words who the client is, such as X-Forwarded-Preferred-Username.
func tellsOfClient(name string) bool {
	name = http.CanonicalHeaderKey(name)
	return strings.HasPrefix(name, "X-Forwarded-") && name != "X-Forwarded-For" && !slices.Contains(proxyHeaders, name)
}

// any redacts a log field's value. inHeader says that key is a header's name, chosen by whoever sent it.
func (r *redactor) any(key string, value any, inHeader bool) any {
	folded := strings.ToLower(key)
	switch {
	case value == nil || value == "":
		return value
	case slices.Contains(droppedKeys, folded), inHeader && tellsOfClient(key):
		return dropped
	}
	switch v := value.(type) {
	case string:
		return r.string(folded, v, inHeader)
	case []byte:
		return r.string(folded, string(v), inHeader)
	case map[string]any:
		// A header's name is chosen by whoever sent it, too.
		headers := inHeader || strings.HasSuffix(folded, "headers")
		clean := make(map[string]any, len(v))
		for name, inner := range v {
			inner = r.any(name, inner, headers)
			if headers {
				name = r.text(name, 0)
			}
			clean[name] = inner
		}
		return clean
	case []any:
		clean := make([]any, len(v))
		for i, inner := range v {
			clean[i] = r.any(key, inner, inHeader)
		}
		return clean
	case bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, uintptr, float32, float64, complex64, complex128,
		time.Time, time.Duration:
		return v
	}
	return r.any(key, plain(value), inHeader)
}

// plain turns a value of any type into what JSON knows.
func plain(value any) (v any) {
	data, err := json.Marshal(value)
	if err != nil || json.Unmarshal(data, &v) != nil {
		return unreadable
	}
	return v
}

func (r *redactor) string(key, s string, inHeader bool) string {
	if slices.Contains(addressKeys, key) {
		return maskAddresses(s)
	}
	if key == "method" && !inHeader && !slices.Contains(loggedMethods, s) {
		return unreadable
	}
	var context detect.Context
	if inHeader {
		s = r.spoken(s)
		meaning := r.scope.Name([]byte(key))
		if c, sensitive := r.named(&meaning); sensitive {
			return "[" + string(c) + "]"
		}
		context = meaning.Context
	}
	return r.words(s, context, 0)
}

const maxName = 64

// spoken redacts what stands behind a name and a colon: `name: Alice`, and JSON.
func (r *redactor) spoken(s string) string {
	for i, c := range s {
		if c != ':' {
			continue
		}
		before := strings.TrimRight(s[max(0, i-maxName):i], ` "'`)
		meaning := r.scope.Name([]byte(before[strings.LastIndexAny(before, ` "',;{(`)+1:]))
		if category, sensitive := r.named(&meaning); sensitive {
			return s[:i] + ": [" + string(category) + "]"
		}
	}
	return s
}

// maxNested bounds how deep encodings and URLs are followed into each other. What lies deeper is not logged.
const maxNested = 6

// words redacts a text and the URLs in it.
func (r *redactor) words(s string, c detect.Context, depth int) string {
	if depth > maxNested {
		return unreadable
	}
	if strings.ContainsAny(s, "/?=#%") {
		var b strings.Builder
		for len(s) > 0 {
			end := strings.IndexFunc(s, isBreak)
			if end < 0 {
				end = len(s)
			}
			b.WriteString(r.uri(s[:end], depth))
			s = s[end:]
			start := strings.IndexFunc(s, func(c rune) bool { return !isBreak(c) })
			if start < 0 {
				start = len(s)
			}
			b.WriteString(s[:start])
			s = s[start:]
		}
		s = b.String()
	}
	return r.text(s, c)
}

func isBreak(c rune) bool { return unicode.IsSpace(c) || strings.ContainsRune(`"'<>,`, c) }

// uri redacts the path segments, the query and the fragment of a URL or a part of one.
func (r *redactor) uri(s string, depth int) string {
	if before, fragment, ok := strings.Cut(s, "#"); ok {
		return r.uri(before, depth) + "#" + r.part(fragment, 0, url.PathUnescape, depth)
	}
	path, query, asked := strings.Cut(s, "?")
	if asked {
		return r.path(path, depth) + "?" + r.query(query, depth)
	}
	if strings.Contains(s, "=") && !strings.Contains(s, "/") {
		return r.query(s, depth)
	}
	return r.path(s, depth)
}

// beforeIDs are the steps of the consent API behind which an id stands, of a data subject or of their case.
var beforeIDs = []string{"subjects", "cases"}

func (r *redactor) path(path string, depth int) string {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if i > 0 && slices.Contains(beforeIDs, segments[i-1]) && segment != "" && segment != "me" {
			segments[i] = "[id]"
			continue
		}
		segments[i] = r.part(segment, 0, url.PathUnescape, depth)
	}
	return strings.Join(segments, "/")
}

// query redacts the values of parameters that are named or look like personal data.
func (r *redactor) query(query string, depth int) string {
	var b strings.Builder
	for {
		end := strings.IndexAny(query, "&;")
		if end < 0 {
			return b.String() + r.parameter(query, depth)
		}
		b.WriteString(r.parameter(query[:end], depth))
		b.WriteByte(query[end])
		query = query[end+1:]
	}
}

func (r *redactor) parameter(s string, depth int) string {
	name, value, given := strings.Cut(s, "=")
	clean := r.part(name, 0, url.QueryUnescape, depth)
	if !given || strings.Contains(clean, unreadable) {
		return clean
	}
	for plain := ""; plain != name; {
		plain = name
		name, _ = url.QueryUnescape(plain) // part says that it can be decoded, and bounds how often
	}
	meaning := r.scope.Name([]byte(name))
	if c, sensitive := r.named(&meaning); sensitive && value != "" {
		return clean + "=[" + string(c) + "]"
	}
	return clean + "=" + r.part(value, meaning.Context, url.QueryUnescape, depth)
}

// part redacts a part of a URL, which may be the encoding of anything. What is clean stays as it came.
func (r *redactor) part(s string, c detect.Context, decode func(string) (string, error), depth int) string {
	if strings.ContainsAny(s, "/?=#") {
		return r.words(s, c, depth+1)
	}
	s = r.text(s, c)
	plain, err := decode(s)
	if err != nil {
		return unreadable
	}
	if plain == s {
		return s
	}
	if clean := r.words(plain, c, depth+1); clean != plain {
		return clean
	}
	return s
}

// text replaces what detectors find with the name of its category.
func (r *redactor) text(s string, c detect.Context) string {
	var room [8]rules.Hit
	hits := r.scope.Detect(room[:0], []byte(s), c)
	if len(hits) == 0 {
		return s
	}
	var b strings.Builder
	from := 0
	for _, hit := range hits {
		info := r.categories[hit.Category]
		found := s[hit.Start:hit.End]
		b.WriteString(s[from:hit.Start])
		from = hit.End
		switch {
		case rules.Category("network.ip").Contains(info.Name):
			b.WriteString(maskPublic(found))
		case info.Grade < rules.Personal:
			b.WriteString(found)
		default:
			b.WriteString("[" + string(info.Name) + "]")
		}
	}
	b.WriteString(s[from:])
	return b.String()
}

func (r *redactor) named(n *rules.Name) (rules.Category, bool) {
	label := r.scope.Key(n, nil)
	if label == nil || label.Silent {
		return "", false
	}
	info := r.categories[label.Category]
	return info.Name, info.Grade >= rules.Personal && !rules.Category("network.ip").Contains(info.Name)
}

func maskPublic(s string) string {
	addr, err := netip.ParseAddr(s)
	if err == nil && (addr.IsPrivate() || addr.IsLoopback() || addr.IsUnspecified() || addr.IsLinkLocalUnicast()) {
		return s
	}
	return maskAddress(s)
}

// maskAddresses masks a list of addresses, such as X-Forwarded-For's.
func maskAddresses(s string) string {
	parts := strings.Split(s, ",")
	for i, p := range parts {
		parts[i] = maskAddress(strings.TrimSpace(p))
	}
	return strings.Join(parts, ", ")
}

// maskAddress keeps the network: /24 of IPv4, /48 of IPv6.
func maskAddress(s string) string {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		withPort, err := netip.ParseAddrPort(s)
		if err != nil {
			return unreadable
		}
		addr = withPort.Addr()
	}
	addr = addr.Unmap().WithZone("")
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return unreadable
	}
	return prefix.Addr().String()
}
