package openapi

import (
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/caddy-minimize/minimize/rules"
)

// operation is a method of a path, with all bodies and parameters that it has.
type operation struct {
	on         []rules.Operation // one for each base path of its servers
	node       *yaml.Node
	responses  []*schema
	requests   []*schema
	parameters []parameter // of query, header and cookie, and headers of responses
}

// parameter is a value by its name, outside of bodies.
type parameter struct {
	node   *yaml.Node
	name   string
	note   *note   // its own
	schema *schema // nil: it has none
}

// methods are the keys of a Path Item Object that are operations. A HEAD is judged as the GET whose header it shows.
var methods = []string{"get", "put", "post", "delete", "options", "patch", "trace", "query"}

// operations reads everything under `paths`.
func (s *Spec) operations() {
	for path, item := range pairs(s.get(s.root, "paths")) {
		if strings.HasPrefix(path.Value, "x-") {
			continue
		}
		item = s.resolve(item)
		for _, method := range methods {
			if node := s.get(item, method); node != nil {
				s.operation(path, item, method, node)
			}
		}
	}
}

func (s *Spec) operation(path, item *yaml.Node, method string, node *yaml.Node) {
	o := &operation{node: node}
	for _, prefix := range s.basePaths(item, node) {
		on, err := rules.ParseOperation(strings.ToUpper(method) + " " + template(prefix+path.Value))
		if err != nil {
			s.fail(path, "%v", err)
			return
		}
		on.Pos = s.at(path)
		if !slices.ContainsFunc(o.on, func(p rules.Operation) bool { return p.Path == on.Path }) {
			o.on = append(o.on, on)
		}
	}
	for _, list := range []*yaml.Node{s.get(item, "parameters"), s.get(node, "parameters")} {
		for _, p := range items(list) {
			s.parameter(o, p)
		}
	}
	o.requests = s.bodies(s.get(s.resolve(s.get(node, "requestBody")), "content"))
	for _, response := range pairs(s.get(node, "responses")) {
		response = s.resolve(response)
		o.responses = append(o.responses, s.bodies(s.get(response, "content"))...)
		for name, header := range pairs(s.get(response, "headers")) {
			s.valueOf(o, name.Value, s.resolve(header))
		}
	}
	s.all = append(s.all, o)
}

// parameter adds a Parameter Object. One of a path is a step of it: no name goes with its value.
func (s *Spec) parameter(o *operation, n *yaml.Node) {
	n = s.resolve(n)
	s.visited[n] = true
	switch s.text(n, "in") {
	case "query", "header", "cookie":
		s.valueOf(o, s.text(n, "name"), n)
	default:
		s.of(s.get(n, "schema"))
	}
}

// valueOf adds what a Parameter or Header Object describes.
func (s *Spec) valueOf(o *operation, name string, n *yaml.Node) {
	if n == nil || name == "" {
		return
	}
	s.visited[n] = true
	p := parameter{node: n, name: name, note: s.noteOf(n), schema: s.of(s.get(n, "schema"))}
	for _, media := range pairs(s.get(n, "content")) {
		p.schema = s.of(s.get(media, "schema"))
	}
	o.parameters = append(o.parameters, p)
}

// bodies are the schemas of the media types that the gateway reads: JSON and forms. Others it refuses, or passes unread.
func (s *Spec) bodies(content *yaml.Node) []*schema {
	var bodies []*schema
	for name, media := range pairs(content) {
		if body := s.of(s.get(s.resolve(media), "schema")); body != nil && isRead(name.Value) {
			bodies = append(bodies, body)
		}
	}
	return bodies
}

func isRead(mediaType string) bool {
	t, _, _ := strings.Cut(strings.ToLower(mediaType), ";")
	switch t = strings.TrimSpace(t); t {
	case "application/json", "text/json", "*/*", "application/*", "application/x-www-form-urlencoded", "multipart/form-data":
		return true
	}
	return strings.HasSuffix(t, "+json")
}

// basePaths are the paths of the servers that are nearest to an operation.
func (s *Spec) basePaths(item, node *yaml.Node) []string {
	for _, n := range []*yaml.Node{node, item, s.root} {
		var paths []string
		for _, server := range items(s.get(n, "servers")) {
			paths = append(paths, s.basePath(server))
		}
		if len(paths) > 0 {
			return paths
		}
	}
	return []string{""}
}

// basePath is the path of a server's URL. A variable in it that has several values may be anything.
func (s *Spec) basePath(server *yaml.Node) string {
	text := s.text(server, "url")
	for name, variable := range pairs(s.get(server, "variables")) {
		if s.get(variable, "enum") == nil {
			text = strings.ReplaceAll(text, "{"+name.Value+"}", s.text(variable, "default"))
		}
	}
	if _, rest, absolute := strings.Cut(text, "://"); absolute {
		i := strings.IndexByte(rest, '/')
		if i < 0 {
			return ""
		}
		text = rest[i:]
	}
	text, _, _ = strings.Cut(text, "?")
	return "/" + strings.Trim(text, "/")
}

// template makes a path template a pattern: a step with a variable in it is a star. Some documents tell operations apart by a
// query or a fragment behind the path, which the gateway does not.
func template(path string) string {
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	var pattern strings.Builder
	for step := range strings.SplitSeq(path, "/") {
		switch {
		case step == "":
			continue
		case strings.ContainsAny(step, "{}"):
			step = "*"
		default:
			step = unescapePercent(step)
		}
		pattern.WriteByte('/')
		pattern.WriteString(step)
	}
	if pattern.Len() == 0 {
		return "/"
	}
	return pattern.String()
}

func unescapePercent(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}
