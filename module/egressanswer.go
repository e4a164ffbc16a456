package minimize

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/google/uuid"

	"github.com/caddy-minimize/minimize/rules"
)

// made is an answer that is written as a handler writes one, and read as a transport's.
type made struct {
	header http.Header
	status int
	buffer bytes.Buffer
}

// Header returns the header to fill.
func (a *made) Header() http.Header { return a.header }

// WriteHeader takes the status.
func (a *made) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write takes the next bytes of the body.
func (a *made) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.buffer.Write(p)
}

// response is the answer, complete.
func (a *made) response(req *http.Request) *http.Response {
	return a.streamed(req, io.NopCloser(&a.buffer))
}

func (a *made) streamed(req *http.Request, body io.ReadCloser) *http.Response {
	length, ok := contentLength(a.header)
	if !ok {
		length = -1
	}
	return &http.Response{
		Status: strconv.Itoa(a.status) + " " + http.StatusText(a.status), StatusCode: a.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, Body: body, ContentLength: length, Request: req,
	}
}

// incoming is a recipient's answer on its way: it is written to the same writer as any answer, as far as somebody reads.
type incoming struct {
	p       *parcel
	made    made
	writer  *writer
	source  io.ReadCloser
	release func()
	in      []byte
	ended   bool
	err     error
}

// answer judges what the recipient answers as what we collect from it.
func (p *parcel) answer(res *http.Response, release func()) *http.Response {
	a := &incoming{p: p, made: made{header: make(http.Header)}, source: res.Body, release: release, in: make([]byte, readSize)}
	m := p.collected()
	a.writer = newWriter(m, &a.made, p.req.Method, context.CancelFunc(release))
	a.writer.header = res.Header
	if refusal := p.cutOff(); refusal != nil { // the recipient answered before it had the whole request
		a.abandon()
		return p.refused(refusal)
	}
	if p.redirectsAway(res) {
		a.writer.refuse(leadsAway)
		a.writer.status = res.StatusCode
	} else {
		p.relocate(res)
		a.writer.WriteHeader(res.StatusCode)
	}
	if a.writer.refusal != nil {
		a.end()
	} else {
		a.pump(func() bool { return a.made.status != 0 })
	}
	if a.writer.refusal != nil && !a.writer.sent {
		a.Close()
		refused := &made{header: make(http.Header)}
		m.refuse(refused, a.writer.refusal, a.writer.status)
		return refused.response(p.req)
	}
	return a.made.streamed(p.req, a)
}

// collected is the message that an answer is: from the recipient, to us.
func (p *parcel) collected() *message {
	m := *p.message
	m.id = uuid.NewString()
	d := &m.disclosure
	d.Position, d.Time, d.Download, d.Objected = rules.Inbound, p.t.now(), false, nil
	m.people, d.People = nil, nil
	m.reached = new(reached)
	d.Reached = m.reached.add
	if shared := m.h.app.consents; shared != nil {
		m.people = &sending{People: shared.For(p.req.Context())}
		d.People = m.people
	}
	return &m
}

// pump reads the recipient's answer until enough of it is judged, or it is at its end.
func (a *incoming) pump(enough func() bool) {
	w := a.writer
	for !a.ended && !enough() {
		n, err := a.source.Read(a.in)
		if n > 0 {
			if _, err := w.Write(a.in[:n]); err != nil {
				a.end()
				return
			}
		}
		switch {
		case err == io.EOF:
			w.finish(a.p.req)
			a.end()
		case err != nil && !w.sent:
			w.refuse(&rules.Refusal{Reason: rules.Unreadable, Detail: "the answer was cut off"})
			a.end()
		case err != nil:
			w.broken = true
			a.end()
		}
	}
}

// end records what became of the answer.
func (a *incoming) end() {
	a.ended = true
	w := a.writer
	switch {
	case w.refusal != nil && !w.sent:
		w.record(outcomeRefused)
		a.err = errRefused
	case w.refusal != nil || w.broken:
		w.record(outcomeAborted)
		a.err = errCutOff
	default:
		w.record(w.outcome())
	}
}

var errCutOff = errors.New("the recipient's answer was cut off")

// Read hands on what was judged.
func (a *incoming) Read(q []byte) (int, error) {
	a.pump(func() bool { return a.made.buffer.Len() > 0 })
	switch {
	case a.p.cutOff() != nil: // what it answers is an answer to a part
		return 0, errCutOff
	case a.made.buffer.Len() > 0:
		return a.made.buffer.Read(q)
	case a.err != nil:
		return 0, a.err
	}
	return 0, io.EOF
}

// Close lets go of the answer, and of the connection if it was not read to its end.
func (a *incoming) Close() error {
	if !a.ended {
		a.writer.broken = true
		a.end()
	}
	refusal := a.p.cutOff()
	err := a.abandon()
	if refusal != nil {
		a.p.mu.Lock()
		a.p.refusal = refusal
		a.p.mu.Unlock()
	}
	a.p.sum(outcomeAborted) // unless it was sent to its end
	return err
}

// abandon gives back what judging took.
func (a *incoming) abandon() error {
	a.writer.observe()
	a.writer.release()
	a.writer.body, a.writer.decode, a.writer.candidate = nil, nil, nil
	err := a.source.Close()
	a.release()
	a.p.close()
	return err
}
