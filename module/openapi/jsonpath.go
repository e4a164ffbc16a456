package openapi

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// path is a JSONPath (RFC 9535), as far as overlays need it to name places: names, stars, indexes, `..`, and filters that
// compare a member with a text.
type path []segment

type segment struct {
	deep   bool // any depth below, this one included
	any    bool
	name   string
	index  int
	number bool     // index counts
	filter []string // members from the element on; nil: no filter
	equals string   // what the filter's member is
	exists bool     // the filter's member is there, whatever it is
}

var errPath = errors.New("this is no target that can be read here: it is a JSONPath such as $.components.schemas.Customer.properties.email, " +
	"$.paths['/orders'].get.parameters[?@.name=='phone'], $..email or $.components.schemas.*")

func parsePath(text string) (path, error) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), "$")
	if !ok {
		return nil, errPath
	}
	var p path
	for rest != "" {
		var s segment
		switch {
		case strings.HasPrefix(rest, ".."):
			s.deep, rest = true, rest[2:]
			if !strings.HasPrefix(rest, "[") {
				rest = "." + rest
			}
		case rest[0] != '.' && rest[0] != '[':
			return nil, errPath
		}
		if rest, ok = s.parse(rest); !ok {
			return nil, errPath
		}
		p = append(p, s)
	}
	return p, nil
}

// parse reads `.name`, `.*` or `[…]`, and returns what follows.
func (s *segment) parse(text string) (rest string, ok bool) {
	if text[0] == '.' {
		end := strings.IndexAny(text[1:], ".[") + 1
		if end == 0 {
			end = len(text)
		}
		s.name, s.any = text[1:end], text[1:end] == "*"
		return text[end:], s.name != "" && !strings.ContainsAny(s.name, " ]'\"()?@")
	}
	inside, rest, ok := cutBracket(text)
	if !ok {
		return "", false
	}
	switch {
	case inside == "*":
		s.any = true
	case strings.HasPrefix(inside, "?"):
		ok = s.parseFilter(inside[1:])
	case inside != "" && (inside[0] == '\'' || inside[0] == '"'):
		s.name, ok = unquote(inside)
	default:
		var err error
		s.index, err = strconv.Atoi(inside)
		s.number, ok = true, err == nil
	}
	return rest, ok
}

// cutBracket takes `[…]` off a text. Brackets in quotes are text.
func cutBracket(text string) (inside, rest string, ok bool) {
	quote := byte(0)
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == ']':
			return strings.TrimSpace(text[1:i]), text[i+1:], true
		}
	}
	return "", "", false
}

// unquote reads a whole text in single or double quotes.
func unquote(text string) (string, bool) {
	if len(text) < 2 || text[0] != text[len(text)-1] || text[0] != '\'' && text[0] != '"' {
		return "", false
	}
	var b strings.Builder
	inside := text[1 : len(text)-1]
	for i := 0; i < len(inside); i++ {
		switch {
		case inside[i] == text[0]:
			return "", false
		case inside[i] == '\\' && i+1 < len(inside):
			i++
		}
		b.WriteByte(inside[i])
	}
	return b.String(), true
}

// parseFilter reads `@.name=='phone'`, also in parentheses, or `@.name`.
func (s *segment) parseFilter(text string) bool {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "(") && strings.HasSuffix(text, ")") {
		text = strings.TrimSpace(text[1 : len(text)-1])
	}
	left, right, compared := strings.Cut(text, "==")
	members, ok := strings.CutPrefix(strings.TrimSpace(left), "@.")
	if !ok || members == "" || strings.ContainsAny(members, " []()'\"!<>=&|@") {
		return false
	}
	s.filter = strings.Split(members, ".")
	if s.exists = !compared; s.exists {
		return true
	}
	right = strings.TrimSpace(right)
	if s.equals, ok = unquote(right); ok {
		return true
	}
	s.equals = right
	return right == "true" || right == "false"
}

// find returns what a path names, each node once.
func (p path) find(t *tree, root *yaml.Node) []*yaml.Node {
	found := []*yaml.Node{root}
	for _, s := range p {
		var next []*yaml.Node
		seen := map[*yaml.Node]bool{}
		add := func(n *yaml.Node) {
			if n != nil && !seen[n] {
				seen[n] = true
				next = append(next, n)
			}
		}
		for _, n := range found {
			s.step(t, n, add)
		}
		found = next
	}
	return found
}

func (s *segment) step(t *tree, n *yaml.Node, add func(*yaml.Node)) {
	s.children(t, n, add)
	if !s.deep {
		return
	}
	for _, value := range pairs(n) {
		s.step(t, value, add)
	}
	for _, item := range items(n) {
		s.step(t, item, add)
	}
}

func (s *segment) children(t *tree, n *yaml.Node, add func(*yaml.Node)) {
	list := slices.Clip(items(n))
	switch {
	case s.any, s.filter != nil:
		for _, value := range pairs(n) {
			list = append(list, value)
		}
		for _, item := range list {
			if s.filter == nil || s.holds(t, item) {
				add(item)
			}
		}
	case s.number:
		if i := s.index; i >= -len(list) && i < len(list) {
			if i < 0 {
				i += len(list)
			}
			add(list[i])
		}
	default:
		add(t.get(n, s.name))
	}
}

func (s *segment) holds(t *tree, n *yaml.Node) bool {
	for _, member := range s.filter {
		if n = t.get(n, member); n == nil {
			return false
		}
	}
	return s.exists || n.Kind == yaml.ScalarNode && n.Value == s.equals
}
