package minimize

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/body"
	"github.com/caddy-minimize/minimize/rules/explain"
)

// Sample is a message that no server has seen, for tests of rules. It is judged as on a route without options.
type Sample struct {
	Path   string // escaped; of a request to a recipient
	Query  string // of a request
	Header http.Header
	Body   []byte // of the media type that the header says
}

// Judge returns what leaves of a message: that a recipient gets, that we collect, or that a caller reads. Its error is a
// *rules.Refusal, or judging failed.
func (s *Sample) Judge(set *rules.Ruleset, o rules.Operation, d *rules.Disclosure) (*Sample, error) {
	if d.Position == rules.Egress {
		if lacks := set.Recipient(d.Recipient).Lacks(d.Time); lacks != rules.Permitted {
			return nil, &rules.Refusal{Reason: lacks, Detail: lacking}
		}
	}
	j := set.ScopeFor(d, o.Method, o.Path).Judge(d)
	if d.Position == rules.Egress || d.Position == rules.Inbound && d.Recipient == "" {
		return s.request(j, set.Recipient(d.Recipient))
	}
	return s.answer(j)
}

// Explain tells what becomes of a JSON document, value by value. Whether it is sent, all of the message decides, as in Judge.
// Only with values the values themselves are in what it tells.
func (s *Sample) Explain(set *rules.Ruleset, o rules.Operation, d *rules.Disclosure, values bool) (*explain.Account, error) {
	e, err := body.Explain(set.ScopeFor(d, o.Method, o.Path).Judge(d), s.Body)
	if err != nil {
		return nil, err
	}
	if _, err := s.Judge(set, o, d); err != nil && !errors.As(err, &e.Refusal) {
		return nil, err
	}
	return explain.Of(set, o, d, e, values), nil
}

func (s *Sample) request(j *rules.Judge, to *rules.Recipient) (out *Sample, err error) {
	if to == nil {
		out, err = s.trimmed(j)
	} else {
		out, err = s.sent(j, to)
	}
	if err != nil {
		return nil, err
	}
	if len(s.Body) == 0 {
		return out, nil
	}
	kind, ok := kindOfRequest(s.Header)
	if !ok || to != nil && kind.coined() {
		return nil, &rules.Refusal{Reason: rules.MediaType, Detail: "the request's media type cannot be judged"}
	}
	out.Body, err = s.rewrite(func(sink body.Sink) (*body.JSON, error) { return kind.rewriter(j, body.Limits{}, sink) })
	return out, err
}

// sent is the head as a recipient gets it.
func (s *Sample) sent(j *rules.Judge, to *rules.Recipient) (out *Sample, err error) {
	head := body.NewHead(j)
	out = new(Sample)
	if out.Path, err = head.Path(s.Path); err != nil {
		return nil, err
	}
	if out.Query, err = head.Query(s.Query); err != nil {
		return nil, err
	}
	sifter := requestSifter{judge: j, credentials: to.Credentials, ours: func(string, []string) bool { return false }}
	out.Header, err = sifter.sift(head, s.Header)
	return out, err
}

// trimmed is the head as our own backend gets it.
func (s *Sample) trimmed(j *rules.Judge) (*Sample, error) {
	req := &http.Request{Header: s.Header.Clone(), URL: &url.URL{RawQuery: s.Query}, ContentLength: int64(len(s.Body))}
	a := &arrival{passage: passage{message: &message{h: &Handler{caller: new(caller)}, scope: j.Scope()}, req: req}}
	a.signed = len(req.Header["Signature"]) > 0 || len(req.Header["Signature-Input"]) > 0
	t := a.trim(j)
	if t.refusal != nil {
		return nil, t.refusal
	}
	t.apply(req)
	return &Sample{Query: req.URL.RawQuery, Header: req.Header}, nil
}

func (s *Sample) answer(j *rules.Judge) (out *Sample, err error) {
	out = new(Sample)
	if len(s.Body) > 0 {
		if kindOf(s.Header, nil) != kindJSON {
			return nil, &rules.Refusal{Reason: rules.MediaType, Detail: refusalDetail[rules.MediaType]}
		}
		if out.Body, err = s.rewrite(func(sink body.Sink) (*body.JSON, error) { return body.NewJSON(j, body.Limits{}, sink), nil }); err != nil {
			return nil, err
		}
	}
	sieve := headerSieve{scope: j.Scope(), table: j.Table(j.MessageFacts())}
	out.Header = sieve.clean(s.Header, usualHeaders(), func(string, int) {})
	return out, nil
}

func (s *Sample) rewrite(to func(body.Sink) (*body.JSON, error)) ([]byte, error) {
	var out bytes.Buffer
	w, err := to(func(p []byte, _ bool) error {
		out.Write(p)
		return nil
	})
	if err != nil {
		return nil, err
	}
	defer w.Release()
	if _, err := w.Write(s.Body); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}
