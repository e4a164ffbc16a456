package minimize

import (
	"errors"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/body"
)

// shadow judges a copy of a body and throws the output away: for report mode, and for candidate rules beside the enforced
// ones. Whatever happens in it never reaches the answer. A nil shadow does nothing.
type shadow struct {
	m       *message
	body    *body.JSON
	refusal *rules.Refusal
	ended   bool
}

// shadows judge a copy of a body by the enforced rules and by the candidate ones: one that refuses does not keep the other
// from its own end.
type shadows struct {
	enforced  *shadow // nil: there is nothing to judge
	candidate *shadow
	decode    *decoder
}

// open begins with a body of this Content-Encoding.
func (s *shadows) open(encodings []string) {
	s.enforced.m.h.metrics.streams.Inc()
	s.read(func() (err error) {
		s.decode, err = newDecoder(encodings, func(p []byte) error {
			s.enforced.write(p)
			s.candidate.write(p)
			return nil
		})
		return err
	})
}

// read decodes. A body that cannot be read is the same to all rules.
func (s *shadows) read(f func() error) {
	s.enforced.try(func() error {
		err := f()
		s.candidate.fail(err)
		return err
	})
}

func (s *shadows) write(p []byte) {
	switch {
	case s.enforced == nil:
	case s.decode == nil:
		s.enforced.write(p)
		s.candidate.write(p)
	default:
		s.read(func() error { _, err := s.decode.Write(p); return err })
	}
}

// close says that the body is complete.
func (s *shadows) close() {
	if s.decode != nil {
		s.read(s.decode.Close)
	}
	s.enforced.close()
	s.candidate.close()
}

func (s *shadows) release() {
	if s.decode != nil {
		s.decode.stop()
	}
	if s.enforced != nil {
		s.enforced.m.h.metrics.streams.Dec()
	}
	s.enforced.release()
	s.candidate.release()
}

func newShadow(m *message, j *rules.Judge) *shadow {
	return &shadow{m: m, body: body.NewJSON(j, m.h.limits(), func([]byte, bool) error { return nil })}
}

// shadowOf is the same for a request's body of this kind.
func (m *message) shadowOf(j *rules.Judge, kind requestKind) *shadow {
	s := &shadow{m: m}
	var err error
	if s.body, err = kind.rewriter(j, m.h.limits(), func([]byte, bool) error { return nil }); err != nil {
		s.body = body.NewJSON(j, m.h.limits(), nil)
		s.fail(err)
	}
	return s
}

func (s *shadow) write(p []byte) {
	if s != nil && !s.ended {
		s.try(func() error { _, err := s.body.Write(p); return err })
	}
}

func (s *shadow) close() {
	if s != nil && !s.ended {
		s.try(s.body.Close)
		s.ended = true
	}
}

func (s *shadow) release() {
	if s != nil {
		s.body.Release()
	}
}

func (s *shadow) try(f func() error) {
	defer func() {
		if recover() != nil {
			s.ended, s.refusal = true, s.m.panicked("a copy was judged")
		}
	}()
	s.fail(f())
}

// fail ends the judging with an error, if there is one.
func (s *shadow) fail(err error) {
	if s == nil || s.ended || err == nil {
		return
	}
	s.ended = true
	if refusal, ok := errors.AsType[*rules.Refusal](err); ok {
		s.refusal = refusal
	}
}
