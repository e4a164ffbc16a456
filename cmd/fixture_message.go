package cmd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	minimize "github.com/caddy-minimize/minimize/module"
	"github.com/caddy-minimize/minimize/rules"
)

// The media types of bodies that fixtures write as trees.
const (
	jsonType      = "application/json"
	formType      = "application/x-www-form-urlencoded"
	multipartType = "multipart/form-data"
)

// boundary is that of the multipart bodies of fixtures.
const boundary = "fixture"

// part is a part of a message beside its body, and what is expected of it.
type part struct {
	name string
	want *tree
	got  func(*minimize.Sample) (*tree, error)
}

// message makes the message out of what a fixture says, and checks that it is one.
func (s *suite) message(n *yaml.Node, f *fixture) {
	f.sample.Header = http.Header{}
	s.sentBody(n, f)
	request := f.Direction == "egress" || f.Direction == "inbound" && f.Recipient == ""
	if f.Direction == "egress" {
		f.sample.Path = (&url.URL{Path: f.operation.Path}).EscapedPath()
	}
	if f.Query.Kind != 0 {
		query, err := pairsOf(&f.Query)
		switch {
		case err != nil:
			s.fail(n, "`query`: %v", err)
		case !request:
			s.fail(n, "a `query` is sent: the `direction` is inbound or egress")
		default:
			f.sample.Query = query.pairs()
		}
	}
	if f.Headers.Kind != 0 {
		headers, err := headersOf(&f.Headers)
		switch {
		case err != nil:
			s.fail(n, "`headers`: %v", err)
		case headers.byName()["Content-Type"] != nil:
			s.fail(n, "`headers`: the Content-Type is written as `media_type`")
		}
		for i, name := range headers.memberNames() {
			f.sample.Header.Add(name, headers.items[i].text)
		}
	}
	if f.mediaType != "" {
		f.sample.Header.Set("Content-Type", f.mediaType)
	}
	if (f.mediaType == formType || strings.HasPrefix(f.mediaType, multipartType)) && !request {
		s.fail(n, "a form is sent: the `direction` is inbound or egress")
	}
	f.sample.Body = f.body
}

// sentBody reads the body, in one of its forms.
func (s *suite) sentBody(n *yaml.Node, f *fixture) {
	forms := [...]struct {
		name, mediaType string
		node            *yaml.Node
	}{{"body", jsonType, &f.Body}, {"form", formType, &f.Form}, {"multipart", multipartType + "; boundary=" + boundary, &f.Multipart}}
	for _, form := range forms {
		if form.node.Kind == 0 {
			continue
		}
		if f.mediaType != "" {
			s.fail(n, "a message has one body: `body`, `form` or `multipart`")
			return
		}
		f.mediaType = form.mediaType
		if f.MediaType != "" {
			f.mediaType = f.MediaType
		}
		var err error
		if f.body, err = bodyAs(form.node, form.mediaType); err != nil {
			s.fail(n, "`%s`: %v", form.name, err)
		}
	}
	if f.mediaType == "" && f.Query.Kind == 0 && f.Headers.Kind == 0 {
		s.fail(n, "`body`: is missing")
	}
}

// bodyAs writes a body: a text as it is, a tree in the form of its media type.
func bodyAs(n *yaml.Node, mediaType string) ([]byte, error) {
	if mediaType == jsonType || n.Kind == yaml.ScalarNode {
		return bodyOf(n)
	}
	t, err := pairsOf(n)
	if err != nil {
		return nil, err
	}
	if mediaType == formType {
		return []byte(t.pairs()), nil
	}
	return t.multipart()
}

// expected reads what is expected of a body of this media type.
func expected(n *yaml.Node, mediaType string) (*tree, error) {
	switch {
	case n.Kind == yaml.ScalarNode:
		return bodyTree([]byte(n.Value), mediaType)
	case isJSON(mediaType):
		data, err := bodyOf(n)
		if err != nil {
			return nil, err
		}
		return parseTree(data)
	}
	return pairsOf(n)
}

// isJSON reports whether a body of this media type is written as a JSON tree.
func isJSON(mediaType string) bool {
	bare, _, _ := mime.ParseMediaType(mediaType)
	return strings.HasSuffix(bare, "json")
}

// bodyTree reads a body of this media type.
func bodyTree(data []byte, mediaType string) (*tree, error) {
	switch bare, _, _ := mime.ParseMediaType(mediaType); {
	case bare == formType:
		return parsePairs(string(data))
	case bare == multipartType:
		return parseMultipart(data)
	case isJSON(mediaType):
		return parseTree(data)
	}
	return nil, errors.New("nothing of such a media type is judged")
}

// checkExpect reads what is expected: a refusal, or something of each part of the message.
func (s *suite) checkExpect(n *yaml.Node, f *fixture) {
	e := &f.Expect
	var bodies []*yaml.Node
	for _, node := range []*yaml.Node{&e.Body, &e.Form, &e.Multipart} {
		if node.Kind != 0 {
			bodies = append(bodies, node)
		}
	}
	passes := len(bodies) > 0 || e.Query.Kind != 0 || e.Headers.Kind != 0
	switch {
	case passes == (e.Refused != ""):
		s.fail(n, "`expect` needs either a `body` or `refused`, a reason")
	case e.Refused != "":
		if !slices.Contains(reasons(), e.Refused) {
			s.fail(n, "`refused` is one of %v", reasons())
		}
	case len(bodies) > 1:
		s.fail(n, "`expect` has one body: `body`, `form` or `multipart`")
	default:
		s.expectParts(n, f, bodies)
	}
}

func (s *suite) expectParts(n *yaml.Node, f *fixture, bodies []*yaml.Node) {
	e := &f.Expect
	for _, p := range []struct {
		name       string
		sent, want bool
	}{
		{"body", f.mediaType != "", len(bodies) > 0}, {"query", f.Query.Kind != 0, e.Query.Kind != 0}, {"headers", f.Headers.Kind != 0, e.Headers.Kind != 0},
	} {
		switch {
		case p.sent && !p.want:
			s.fail(n, "`expect` does not say what becomes of the `%s`", p.name)
		case p.want && !p.sent:
			s.fail(n, "`expect` has a `%s`, and the message has none", p.name)
		}
	}
	if len(bodies) > 0 && f.mediaType != "" {
		var err error
		if f.want, err = expected(bodies[0], f.mediaType); err != nil {
			s.fail(n, "the expected `body`: %v", err)
		}
	}
	if f.Direction == "egress" {
		path := e.Path
		if path == "" {
			path = f.operation.Path
		}
		f.parts = append(f.parts, part{"path", &tree{kind: '"', text: path}, sentPath})
	}
	s.expectPart(n, f, "query", &e.Query, pairsOf, func(m *minimize.Sample) (*tree, error) { return parsePairs(m.Query) })
	s.expectPart(n, f, "headers", &e.Headers, headersOf, func(m *minimize.Sample) (*tree, error) { return headerTree(m.Header), nil })
}

func (s *suite) expectPart(n *yaml.Node, f *fixture, name string, node *yaml.Node, read func(*yaml.Node) (*tree, error), got func(*minimize.Sample) (*tree, error)) {
	if node.Kind == 0 {
		return
	}
	want, err := read(node)
	if err != nil {
		s.fail(n, "the expected `%s`: %v", name, err)
	}
	f.parts = append(f.parts, part{name, want, got})
}

func sentPath(m *minimize.Sample) (*tree, error) {
	path, err := url.PathUnescape(m.Path)
	return &tree{kind: '"', text: path}, err
}

// pairsOf reads a query or a form: a text as it is sent, or names with a text or a list of texts.
func pairsOf(n *yaml.Node) (*tree, error) {
	if n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		return parsePairs(n.Value)
	}
	if n.Kind != yaml.MappingNode {
		return nil, errors.New("want a text, or names with a text or a list of texts")
	}
	t := &tree{kind: '{'}
	for i := 0; i < len(n.Content); i += 2 {
		var values words
		if err := values.UnmarshalYAML(n.Content[i+1]); err != nil {
			return nil, fmt.Errorf("line %d: %w", n.Content[i+1].Line, err)
		}
		for _, v := range values {
			t.add(n.Content[i].Value, v)
		}
	}
	return t, nil
}

// headersOf reads headers: names with a text or a list of texts.
func headersOf(n *yaml.Node) (*tree, error) {
	if n.Kind != yaml.MappingNode {
		return nil, errors.New("want names with a text or a list of texts")
	}
	t, err := pairsOf(n)
	for i, name := range t.memberNames() {
		t.names[i] = http.CanonicalHeaderKey(name)
	}
	return t, err
}

// headerTree is what leaves of headers. The media type is the body's, and a User-Agent that is empty stands for none.
func headerTree(h http.Header) *tree {
	t := &tree{kind: '{'}
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			if name != "Content-Type" && (name != "User-Agent" || value != "") {
				t.add(name, value)
			}
		}
	}
	return t
}

func (t *tree) add(name, text string) {
	t.names, t.items = append(t.names, name), append(t.items, &tree{kind: '"', text: text})
}

// memberNames are the names of an object, none of nothing.
func (t *tree) memberNames() []string {
	if t == nil {
		return nil
	}
	return t.names
}

// parsePairs reads a query or a form as it is sent, in its order.
func parsePairs(raw string) (*tree, error) {
	t := &tree{kind: '{'}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return nil, errors.New("reading a name that is escaped wrongly")
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return nil, errors.New("reading a value that is escaped wrongly")
		}
		t.add(name, value)
	}
	return t, nil
}

// pairs writes an object of texts as a query.
func (t *tree) pairs() string {
	var pairs []string
	for i, name := range t.names {
		pairs = append(pairs, url.QueryEscape(name)+"="+url.QueryEscape(t.items[i].text))
	}
	return strings.Join(pairs, "&")
}

// multipart writes an object of texts as multipart/form-data.
func (t *tree) multipart() ([]byte, error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if err := w.SetBoundary(boundary); err != nil {
		return nil, err
	}
	for i, name := range t.names {
		if err := w.WriteField(name, t.items[i].text); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

// parseMultipart reads the texts of a multipart body, whatever its boundary.
func parseMultipart(data []byte) (*tree, error) {
	first, _, _ := bytes.Cut(data, []byte("\r\n"))
	parts := multipart.NewReader(bytes.NewReader(data), strings.TrimSuffix(strings.TrimPrefix(string(first), "--"), "--"))
	t := &tree{kind: '{'}
	for {
		p, err := parts.NextPart()
		if err == io.EOF {
			return t, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading it as multipart: %w", err)
		}
		text, err := io.ReadAll(p)
		if err != nil {
			return nil, fmt.Errorf("reading it as multipart: %w", err)
		}
		t.add(p.FormName(), string(text))
	}
}

// reasons are those of a refusal.
func reasons() []string {
	var names []string
	for r := rules.Authority; int(r) < rules.ReasonCount; r++ {
		names = append(names, r.String())
	}
	return names
}
