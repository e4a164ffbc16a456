package minimize

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// source is where a placeholder's value comes from.
type source uint8

const (
	sourceClaim  source = iota // a verified token
	sourceAuth                 // a Caddy authentication
	sourceTLS                  // a verified client certificate
	sourceHeader               // a request header
	sourceURL                  // the request's path
)

// sourcePrefixes tell sources by the beginnings of placeholders.
var sourcePrefixes = []struct {
	prefix string
	source source
}{
	{"claim.", sourceClaim},
	{"http.auth.user.", sourceAuth},
	{"http.request.tls.client.", sourceTLS},
	{"http.request.header.", sourceHeader},
	{"http.request.uri.path.", sourceURL},
}

// sources is a set of sources that a field may have. Headers are let in where the peers that may set them are listed.
type sources uint8

const (
	callerSources  sources = 1<<sourceClaim | 1<<sourceAuth | 1<<sourceTLS
	subjectSources         = callerSources | 1<<sourceURL
	chosenSources          = callerSources | 1<<sourceHeader // a choice among what the caller may claim
)

// template is a constant, or a text with placeholders that only authenticated values fill. A nil template is empty.
type template struct {
	text  string // as configured, without the {env.…} in it
	parts []part
}

// part is a literal, or a placeholder.
type part struct {
	literal string
	source  source
	name    string // of the placeholder: behind its prefix for claims and headers, whole for the others; "": a literal
	anyPeer bool   // a header that every peer may set
}

// parse reads a field of the configuration. A placeholder that a client can fill is an error.
func (p *caller) parse(field, text string, allowed sources) (*template, error) {
	if text == "" {
		return nil, nil
	}
	text = caddy.NewReplacer().ReplaceKnown(text, "")
	t := &template{text: text}
	for rest := text; rest != ""; {
		before, after, found := strings.Cut(rest, "{")
		if before != "" {
			t.parts = append(t.parts, part{literal: before})
		}
		if !found {
			break
		}
		var name string
		if name, rest, found = strings.Cut(after, "}"); !found {
			return nil, fmt.Errorf("%s: a placeholder lacks its closing brace", field)
		}
		placeholder, err := p.placeholder(name, allowed)
		if err != nil {
			return nil, fmt.Errorf("%s: {%s} %w", field, name, err)
		}
		t.parts = append(t.parts, placeholder)
	}
	return t, nil
}

func (p *caller) placeholder(name string, allowed sources) (part, error) {
	for _, s := range sourcePrefixes {
		rest, ok := strings.CutPrefix(name, s.prefix)
		if !ok || rest == "" {
			continue
		}
		switch s.source {
		case sourceClaim:
			if p.tokens == nil {
				return part{}, fmt.Errorf("needs a token: add `jwt issuer … audience …` to the caller")
			}
			return part{source: s.source, name: rest}, nil
		case sourceHeader:
			rest = http.CanonicalHeaderKey(rest)
			anyPeer := allowed&(1<<sourceHeader) != 0
			if !anyPeer {
				if len(p.trust) == 0 {
					return part{}, fmt.Errorf("can be written by every client: list the proxies that set it with `trust`, or take a claim")
				}
				if !slices.Contains(p.trusted, rest) {
					p.trusted = append(p.trusted, rest)
				}
			}
			return part{source: s.source, name: rest, anyPeer: anyPeer}, nil
		}
		if allowed&(1<<s.source) != 0 {
			return part{source: s.source, name: name}, nil
		}
	}
	if strings.HasPrefix(name, "http.auth.candidate.") {
		return part{}, fmt.Errorf("is a user who failed to authenticate: take {http.auth.user.…}")
	}
	if strings.HasPrefix(name, "http.regexp.") {
		// header_regexp, vars_regexp and expressions fill it, too, and any matcher of the route may be given its name.
		return part{}, fmt.Errorf("can be filled from a header by a matcher: take a step of the path, {http.request.uri.path.2}, or a claim")
	}
	return part{}, fmt.Errorf("is nothing that authentication establishes: take {claim.…}, {http.auth.user.…} or {http.request.tls.client.…}")
}

func (t *template) constant() bool {
	return !slices.ContainsFunc(t.parts, func(p part) bool { return p.name != "" })
}

// headers are the request headers that the template reads.
func (t *template) headers() []string {
	var names []string
	for _, p := range t.parts {
		if p.name != "" && p.source == sourceHeader {
			names = append(names, p.name)
		}
	}
	return names
}

// all returns the template's values: several where it is one placeholder whose value is a list.
func (t *template) all(who *identity) []string {
	if t == nil {
		return nil
	}
	if len(t.parts) == 1 && t.parts[0].name != "" {
		return who.values(t.parts[0])
	}
	if text := t.one(who); text != "" {
		return []string{text}
	}
	return nil
}

// one returns the template's value, "" where a placeholder has not exactly one.
func (t *template) one(who *identity) string {
	if t == nil {
		return ""
	}
	var b strings.Builder
	for _, p := range t.parts {
		if p.name == "" {
			b.WriteString(p.literal)
			continue
		}
		values := who.values(p)
		if len(values) != 1 {
			return ""
		}
		b.WriteString(values[0])
	}
	return b.String()
}

// values returns what a placeholder holds, without empty ones.
func (who *identity) values(p part) []string {
	var values []string
	switch p.source {
	case sourceClaim:
		values = texts(claim(who.claims, p.name))
	case sourceHeader:
		// One value, because two would leave it to each reader which one counts.
		if all := who.r.Header.Values(p.name); len(all) == 1 && (who.trusted || p.anyPeer) {
			values = all
		}
	case sourceTLS:
		// Without a verified chain Caddy's placeholders show what the client says about itself.
		if who.r.TLS == nil || len(who.r.TLS.VerifiedChains) == 0 {
			return nil
		}
		fallthrough
	default:
		if who.repl != nil {
			value, _ := who.repl.Get(p.name)
			values = texts(value)
		}
	}
	return slices.DeleteFunc(slices.Clone(values), func(s string) bool { return s == "" })
}

// claim finds a claim by its name, in which dots may stand between the names of nested objects.
func claim(claims map[string]any, name string) any {
	if value, ok := claims[name]; ok {
		return value
	}
	for i, c := range name {
		if c != '.' {
			continue
		}
		if inner, ok := claims[name[:i]].(map[string]any); ok {
			if value := claim(inner, name[i+1:]); value != nil {
				return value
			}
		}
	}
	return nil
}

// texts returns a scalar, or the scalars of a list, as text. Objects have none.
func texts(value any) []string {
	switch v := value.(type) {
	case nil, map[string]any:
		return nil
	case json.Number:
		return []string{v.String()}
	case []any:
		var all []string
		for _, element := range v {
			if _, nested := element.([]any); !nested {
				all = append(all, texts(element)...)
			}
		}
		return all
	case []string:
		return v
	}
	return []string{caddy.ToString(value)}
}

// flatten returns the scalars among claims by their dotted names. A name that two claims flatten to is left out: else one
// that a user may edit could stand for one that the issuer vouches for.
func flatten(claims map[string]any) map[string]string {
	flat := make(map[string]string, len(claims))
	for _, name := range flattenInto(flat, "", claims, nil) {
		delete(flat, name)
	}
	return flat
}

// flattenInto adds to flat, and to out the names that are no scalars or were there before.
func flattenInto(flat map[string]string, prefix string, claims map[string]any, out []string) []string {
	for name, value := range claims {
		name = prefix + name
		if inner, ok := value.(map[string]any); ok {
			out = flattenInto(flat, name+".", inner, out)
			continue
		}
		_, twice := flat[name]
		text, scalar := scalarText(value)
		if twice || !scalar {
			out = append(out, name)
		}
		flat[name] = text
	}
	return out
}

func scalarText(value any) (text string, ok bool) {
	if _, list := value.([]any); list {
		return "", false
	}
	all := texts(value)
	return strings.Join(all, ""), len(all) == 1
}
