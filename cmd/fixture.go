package cmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"go.yaml.in/yaml/v4"

	minimize "github.com/caddy-minimize/minimize/module"
	"github.com/caddy-minimize/minimize/module/rulefile"
	"github.com/caddy-minimize/minimize/rules"
)

// fixtureFile is a file of fixtures as written. Each fixture stays a node, so that it can start from what is given.
type fixtureFile struct {
	Rules    yaml.Node // files, relative to this one
	Keys     yaml.Node
	Given    yaml.Node // what holds for every fixture that does not say otherwise
	Fixtures []yaml.Node

	// Of rules that must not load, instead of fixtures.
	ExpectError yaml.Node `yaml:"expect_error"` // a part of the error's text
	Name        string
	Clause      string
	Note        string
}

// fixture is one message: who asks for what, what is answered or sent, and what may come out.
type fixture struct {
	Name      string
	Clause    string // of the policy or law that it comes from
	Note      string
	Caller    fixtureCaller
	Purpose   string
	Subject   string // of the message, as the route would say
	Download  bool
	Issues    words
	Time      string
	People    map[string]fixturePerson // by data subject, beside those that are given
	Cases     []fixtureCase
	GPC       bool   // the request says Sec-GPC: 1
	Seen      int    // how many data subjects the caller saw on this day already
	Direction string // response, inbound or egress
	Recipient string // egress: who gets it; inbound: whose answer it is
	Operation string
	Headers   yaml.Node
	Query     yaml.Node
	Body      yaml.Node
	Form      yaml.Node
	Multipart yaml.Node
	MediaType string `yaml:"media_type"` // of a body; said already where it is JSON, or written as a form
	Expect    fixtureExpect

	pos        rules.Pos
	mediaType  string // "": there is no body
	body       []byte
	sample     minimize.Sample
	want       *tree // of the body
	parts      []part
	operation  rules.Operation
	disclosure rules.Disclosure
}

type fixtureCaller struct {
	ID           string
	Roles        words
	Organisation string
	Country      string
	Guardian     words // the data subjects' ids
	Case         string
	Claims       map[string]yaml.Node
}

// fixtureExpect is either what leaves of each part of the message or the reason of a refusal.
type fixtureExpect struct {
	Body      yaml.Node
	Form      yaml.Node
	Multipart yaml.Node
	Query     yaml.Node
	Headers   yaml.Node
	Path      string // "": as it is in `operation`
	Refused   string
	Rule      string // the refusing rule's id
}

// words is a text or a list of texts.
type words []string

// UnmarshalYAML replaces what is given, as every other key of a fixture does.
func (w *words) UnmarshalYAML(n *yaml.Node) error {
	*w = nil
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	for _, item := range items {
		if item.Kind != yaml.ScalarNode || item.Tag == "!!null" {
			return errors.New("want a text or a list of texts")
		}
		*w = append(*w, item.Value)
	}
	return nil
}

// suite is a file of fixtures with its rules compiled.
type suite struct {
	file      string
	files     []string // of its rules
	rules     *rules.Ruleset
	wantError string // of rules that must not load
	loadErrs  rules.Errors
	fixtures  []*fixture
	errs      rules.Errors
}

// loadSuite reads a file of fixtures and the rules that it names. All errors come at once, as rules.Errors.
func loadSuite(file string) (*suite, error) {
	s := &suite{file: file}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading fixtures: %w", err)
	}
	var written fixtureFile
	if err := yaml.Load(data, &written, yaml.WithKnownFields()); err != nil {
		s.addYAML(err)
		return nil, s.errs.Err()
	}
	s.compile(&written)
	if written.ExpectError.Kind != 0 {
		s.mustNotLoad(&written)
		return s, s.errs.Err()
	}
	s.errs = append(s.errs, s.loadErrs...)
	names := map[string]int{}
	for i := range written.Fixtures {
		f := s.fixture(&written.Given, &written.Fixtures[i])
		if line := names[f.Name]; line > 0 {
			s.fail(&written.Fixtures[i], "the fixture in line %d has the same name", line)
		}
		names[f.Name] = f.pos.Line
		s.fixtures = append(s.fixtures, f)
	}
	if len(s.fixtures) == 0 {
		s.fail(&yaml.Node{Line: 1, Column: 1}, "a file of fixtures has `rules`, a list of files, and `fixtures`, a list of messages")
	}
	return s, s.errs.Err()
}

// mustNotLoad makes one fixture of rules that are wrong.
func (s *suite) mustNotLoad(written *fixtureFile) {
	n := &written.ExpectError
	switch {
	case n.Kind != yaml.ScalarNode || n.Value == "":
		s.fail(n, "`expect_error` is a part of what the error says")
	case len(written.Fixtures) > 0:
		s.fail(n, "rules that do not load have no `fixtures`: `expect_error` stands in a file of its own")
	case written.Name == "":
		s.fail(n, "`expect_error` needs a `name` beside it")
	}
	s.wantError = n.Value
	s.fixtures = []*fixture{{
		Name: written.Name, Clause: written.Clause, Note: written.Note, pos: rules.Pos{File: s.file, Line: n.Line, Column: n.Column},
	}}
}

func (s *suite) fail(n *yaml.Node, format string, args ...any) {
	pos := rules.Pos{File: s.file, Line: max(n.Line, 1), Column: max(n.Column, 1)}
	s.errs = append(s.errs, &rules.Error{Pos: pos, Message: fmt.Sprintf(format, args...)})
}

var unknownField = regexp.MustCompile(`^field (\S+) not found in type \S+$`)

// addYAML takes over what the YAML reader found, in words that do not speak of Go types.
func (s *suite) addYAML(err error) {
	found := []*yaml.LoadError{{Message: err.Error()}}
	var many *yaml.LoadErrors
	var one *yaml.LoadError
	switch {
	case errors.As(err, &many):
		found = many.Errors
	case errors.As(err, &one):
		found = []*yaml.LoadError{one}
	}
	for _, e := range found {
		message := unknownField.ReplaceAllString(e.Message, "there is no key `$1` here")
		s.fail(&yaml.Node{Line: e.Mark.Line, Column: e.Mark.Column}, "%s", message)
	}
}

// compile reads and compiles the rules.
func (s *suite) compile(written *fixtureFile) {
	files := written.Rules.Content
	if written.Rules.Kind == yaml.ScalarNode {
		files = []*yaml.Node{&written.Rules}
	}
	var texts []rulefile.File
	for _, n := range files {
		file := n.Value
		if !rulefile.IsPack(file) {
			file = filepath.Join(filepath.Dir(s.file), file)
		}
		s.files = append(s.files, file)
		data, err := rulefile.Read(file)
		if err != nil {
			s.fail(n, "reading the rules: %v", err)
			continue
		}
		texts = append(texts, rulefile.File{Name: file, Data: data})
	}
	docs, err := rulefile.Load(texts)
	s.addRules(err)
	o := rules.Options{Keys: s.keys(&written.Keys)}
	if len(s.errs)+len(s.loadErrs) > 0 {
		return
	}
	compiled, err := rules.Compile(docs, o)
	s.addRules(err)
	s.rules = compiled
}

func (s *suite) keys(n *yaml.Node) *rules.KeyRing {
	switch {
	case n.Kind == 0:
		return nil
	case n.Value != "test":
		s.fail(n, "`keys` is `test`, made-up keys for rules that pseudonymize, or left out")
		return nil
	}
	keys, err := rules.NewKeyRing(testKeys)
	if err != nil {
		s.fail(n, "making the keys: %v", err)
	}
	return keys
}

func (s *suite) addRules(err error) {
	var errs rules.Errors
	switch {
	case err == nil:
	case errors.As(err, &errs):
		s.loadErrs = append(s.loadErrs, errs...)
	default:
		s.fail(&yaml.Node{}, "%v", err)
	}
}

// fixture reads one fixture over what is given.
func (s *suite) fixture(given, n *yaml.Node) *fixture {
	f := &fixture{pos: rules.Pos{File: s.file, Line: n.Line, Column: n.Column}}
	for _, part := range []*yaml.Node{given, n} {
		if part.Kind == 0 {
			continue
		}
		if err := part.Load(f, yaml.WithKnownFields()); err != nil {
			s.addYAML(err)
			return f
		}
	}
	s.check(n, f)
	return f
}

// check turns what is written into what the engine takes.
func (s *suite) check(n *yaml.Node, f *fixture) {
	if f.Name == "" {
		s.fail(n, "a fixture needs a `name`")
	}
	position := s.position(n, f)
	var err error
	if f.operation, err = rules.ParseOperation(f.Operation); err != nil {
		s.fail(n, "`operation`: %v", err)
	}
	s.message(n, f)
	s.checkExpect(n, f)
	f.disclosure = rules.Disclosure{
		Position: position, Recipient: f.Recipient,
		Caller: rules.Caller{
			ID: f.Caller.ID, Roles: f.Caller.Roles, Organisation: f.Caller.Organisation, Country: f.Caller.Country,
			Guardian: f.Caller.Guardian, CaseID: f.Caller.Case, Claims: map[string]string{},
		},
		Purpose: f.Purpose, Subject: f.Subject, Download: f.Download, Time: s.time(n, f.Time),
	}
	if f.disclosure.People, err = peopleOf(f); err != nil {
		s.fail(n, "%v", err)
	}
	if f.GPC && s.rules != nil {
		f.disclosure.Objected = s.rules.GPC()
	}
	for name, value := range f.Caller.Claims {
		f.disclosure.Caller.Claims[name] = value.Value
	}
	for _, name := range f.Issues {
		f.disclosure.Issues = append(f.disclosure.Issues, rules.Category(name))
	}
}

// positions are the directions of a message.
var positions = map[string]rules.Position{"": rules.Response, "response": rules.Response, "inbound": rules.Inbound, "egress": rules.Egress}

func (s *suite) position(n *yaml.Node, f *fixture) rules.Position {
	position, ok := positions[f.Direction]
	switch {
	case !ok:
		s.fail(n, "`direction` is response, which may be left out, inbound or egress")
	case position == rules.Egress && f.Recipient == "":
		s.fail(n, "what leaves needs a `recipient`")
	case position == rules.Response && f.Recipient != "":
		s.fail(n, "a `recipient` gets what leaves (`direction: egress`) or answers (`direction: inbound`); who reads for one is a `caller` with an `organisation`")
	}
	return position
}

// time reads a fixture's time. A fixture without one would depend on the day that it runs.
func (s *suite) time(n *yaml.Node, text string) time.Time {
	d, err := parseDay(text)
	if err != nil {
		s.fail(n, "a fixture needs a `time`: a day such as 2026-11-22, or a time with a zone")
	}
	return d.Time
}
