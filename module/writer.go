package minimize

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/body"
)

// state is how far an answer has come.
type state uint8

const (
	stateWaiting state = iota // no status yet
	stateEmpty                // a status and no byte of a body yet
	stateJudging              // a body that the rewriter reads
	statePassing              // a body that the route declares opaque
	stateRefused              // nothing more is taken
)

// errRefused is what inner handlers see when they write to a refused answer.
var errRefused = errors.New("minimize: the answer is refused")

// writer is what the inner handlers write to. It keeps their header to itself, and gives them no way to the client's
// writer: no Unwrap, no Hijack, no Push, and neither Flush nor ReadFrom nor a 1xx status gets anything past the judging.
type writer struct {
	m       *message
	arrival *arrival // nil: the request is not judged
	w       http.ResponseWriter
	header  http.Header // the upstream's
	given   http.Header // the same when the status came, so that trailers are never in it
	status  int
	length  int64 // the upstream's Content-Length; -1: none
	got     int64 // bytes of its body
	state   state
	head    bool // the request is HEAD
	told    bool // metrics and audit log know
	sent    bool // header and perhaps a part of the body left
	broken  bool // the client is gone

	withheld []byte // where the audit log is required

	clean     http.Header   // what of the upstream's header may leave, once it was judged
	inHeader  *rules.Report // what was found in it
	body      *body.JSON
	candidate *shadow
	sample    *answerSample // for the drift from OpenAPI documents
	decode    *decoder
	refusal   *rules.Refusal
	cancel    context.CancelFunc // of the upstream's request
	spent     time.Duration      // in the engine
	blocked   time.Duration      // of it, writing to the client or judging by candidate rules
}

func newWriter(m *message, w http.ResponseWriter, method string, cancel context.CancelFunc) *writer {
	return &writer{m: m, w: w, header: make(http.Header), head: method == http.MethodHead, length: -1, cancel: cancel}
}

// run has the inner handlers answer, and judges the answer to its end.
func (w *writer) run(next caddyhttp.Handler, r *http.Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			w.recovered(p, r)
		}
	}()
	if err := next.ServeHTTP(w, r); err != nil {
		return err
	}
	w.finish(r)
	return nil
}

// recovered turns a panic of the inner handlers into a refusal while nothing is sent. http.ErrAbortHandler is how
// reverse_proxy gives up: on our error from Write, or because the upstream's answer was cut off.
func (w *writer) recovered(p any, r *http.Request) {
	refusal := &rules.Refusal{Reason: rules.Unreadable, Detail: "the answer was cut off"}
	if p != http.ErrAbortHandler {
		refusal = w.m.panicked("an answer was made")
	}
	switch {
	case w.sent || w.refusal != nil:
	case p == http.ErrAbortHandler && r.Context().Err() != nil:
		w.broken = true // the client is gone
	default:
		w.refuse(refusal)
	}
	w.broken = w.broken || w.sent
}

// Header returns the header that the inner handlers fill.
func (w *writer) Header() http.Header { return w.header }

// WriteHeader takes the status. 1xx are swallowed: their headers could carry anything, and the proxy sends them from
// another goroutine.
func (w *writer) WriteHeader(status int) {
	if status < 200 && status != http.StatusSwitchingProtocols || w.state != stateWaiting {
		return
	}
	w.state, w.status = stateEmpty, status
	m := w.m
	if disposition(w.header) == "attachment" {
		m.disclosure.Download = true
	}
	m.judge()
	w.given = w.header.Clone()
	var ok bool
	switch w.length, ok = contentLength(w.header); {
	case !ok:
		w.refuse(&rules.Refusal{Reason: rules.Unreadable, Detail: "the answer's Content-Length cannot be read"})
	case status == http.StatusSwitchingProtocols:
		w.refuse(&rules.Refusal{Reason: rules.MediaType, Detail: "the upstream switched to a protocol that cannot be judged"})
	case status == http.StatusPartialContent:
		w.refuse(&rules.Refusal{Reason: rules.Unreadable, Detail: "the upstream sent a part of a body, which cannot be judged"})
	}
}

// Write takes the next bytes of the body. Any error makes reverse_proxy stop reading the upstream.
func (w *writer) Write(p []byte) (int, error) {
	if w.state == stateWaiting {
		w.WriteHeader(http.StatusOK)
	}
	w.got += int64(len(p))
	switch {
	case w.state == stateRefused:
		return 0, errRefused
	case len(p) == 0 || w.head:
		return len(p), nil
	case !bodyAllowed(w.status):
		return 0, http.ErrBodyNotAllowed
	case w.length >= 0 && w.got > w.length:
		return 0, w.refuse(&rules.Refusal{Reason: rules.Unreadable, Detail: "the answer is longer than its Content-Length"})
	case w.state == stateEmpty:
		if err := w.open(); err != nil {
			return 0, err
		}
	}
	if w.state == statePassing {
		return w.pass(p)
	}
	start := time.Now()
	err := w.feed(p)
	w.spent += time.Since(start)
	if err != nil {
		return 0, w.failed(err)
	}
	return len(p), nil
}

// ReadFrom goes through Write: io.Copy must find no way around it.
func (w *writer) ReadFrom(r io.Reader) (int64, error) { return io.Copy(struct{ io.Writer }{w}, r) }

// FlushError does nothing while the answer is held: flushing the client's writer would commit its header. An opaque one
// may start: an event stream may have no event for long.
func (w *writer) FlushError() error {
	if w.state == stateEmpty && w.mayHaveBody() && kindOf(w.header, w.m.h.media) == kindOpaque {
		if err := w.open(); err != nil {
			return err
		}
	}
	if !w.sent || w.state == stateRefused {
		return nil
	}
	return http.NewResponseController(w.w).Flush()
}

// newRewriter is the engine. A test breaks it to see the canary fall silent.
var newRewriter = body.NewJSON

// open says what the body is, now that its first bytes are there.
func (w *writer) open() error {
	m := w.m
	switch kindOf(w.header, m.h.media) {
	case kindOpaque:
		w.state = statePassing
		if w.sendAlone(w.length); w.state == stateRefused {
			return errRefused
		}
		return nil
	case kindRefused:
		return w.refuse(&rules.Refusal{Reason: rules.MediaType})
	}
	w.state = stateJudging
	w.body = newRewriter(m.judged, m.h.limits(), w.sink)
	if !m.canary {
		m.h.metrics.streams.Inc()
	}
	w.candidate = m.newShadow()
	if !m.canary {
		w.sample = m.h.app.drift.Load().sample()
	}
	var err error
	if w.decode, err = newDecoder(w.header["Content-Encoding"], w.judge); err != nil {
		return w.failed(err)
	}
	return nil
}

func (w *writer) feed(p []byte) error {
	if w.decode != nil {
		_, err := w.decode.Write(p)
		return err
	}
	return w.judge(p)
}

// judge gives the rewriter plain bytes.
func (w *writer) judge(p []byte) error {
	w.beside(func() { w.candidate.write(p) })
	w.sample.write(p)
	_, err := w.body.Write(p)
	return err
}

// beside has the candidate rules judge, in time that does not count.
func (w *writer) beside(f func()) {
	if w.candidate == nil {
		return
	}
	start := time.Now()
	f()
	w.blocked += time.Since(start)
}

// sink takes what was judged. Header and length are written with its first bytes, never earlier.
func (w *writer) sink(p []byte, last bool) error {
	if refusal := w.arrival.late(); refusal != nil && !w.sent { // it answers a part of the request
		return refusal
	}
	if !w.sent {
		w.cleanHeader(w.outside(), nil)
	}
	if last { // who has an answer whole can count on its audit line
		if refusal := w.record(w.outcome()); refusal != nil {
			return refusal
		}
	}
	if !last && !w.sent {
		if refusal := w.m.h.app.audit.begin(w.m, w.status, w.report(outcomeBegun)); refusal != nil {
			return refusal
		}
	}
	if w.m.h.app.audit.required {
		p = w.withhold(p, last)
	}
	if w.sent && len(p) == 0 {
		return nil
	}
	start := time.Now()
	defer func() { w.blocked += time.Since(start) }()
	if !w.sent {
		length := int64(-1)
		if last {
			length = int64(len(p))
		}
		w.sendHeader(length)
	}
	if _, err := w.w.Write(p); err != nil {
		return err
	}
	return w.push()
}

// withhold keeps back what may be the end of the answer until its audit line is written: a bracket, a quote or white space,
// which tell nothing of anybody.
func (w *writer) withhold(p []byte, last bool) []byte {
	if len(w.withheld) > 0 {
		p, w.withheld = slices.Concat(w.withheld, p), nil
	}
	if end := len(p) - 1; !last && end >= 0 && strings.IndexByte("}]\" \t\r\n", p[end]) >= 0 {
		p, w.withheld = p[:end], []byte{p[end]}
	}
	return p
}

// cleanHeader judges the upstream's header, before it is told of. What stays of it is the message's data subject's, of whom the
// store knows what is in person.
func (w *writer) cleanHeader(outside *rules.Table, person *rules.Person) {
	w.clean, w.inHeader = w.m.cleaned(w.given, outside)
	if said, subject := w.m.judged.Message(); said.Known() && w.m.rules.discloses(w.inHeader) {
		w.m.reached.add([]byte(subject), person)
	}
}

// discloses reports whether something above general was found that stays.
func (s *ruleset) discloses(r *rules.Report) bool {
	categories := s.enforced.Categories()
	for c := range r.Counts {
		if categories[c].Grade > rules.General && r.Counts[c][rules.Keep] > 0 {
			return true
		}
	}
	return false
}

// sendHeader writes the cleaned header. Those that handlers outside of us set stay, except where ours speaks of the same; Vary adds up.
// Values are copied: handlers outside, such as `header`, change them in place, and some are shared by all answers.
func (w *writer) sendHeader(length int64) {
	to := w.w.Header()
	if encoding := w.given["Content-Encoding"]; w.state == statePassing && len(encoding) > 0 {
		w.clean["Content-Encoding"] = encoding
	}
	for name, values := range w.clean {
		if name == "Vary" {
			values = slices.Concat(to[name], values)
		}
		to[name] = slices.Clone(values)
	}
	if length >= 0 {
		to["Content-Length"] = []string{strconv.FormatInt(length, 10)}
	}
	w.sent = true
	w.w.WriteHeader(w.status)
}

func (w *writer) pass(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if err != nil {
		w.broken = true
	}
	return n, err
}

// failed sorts an error of the rewriter: a refusal, or a client that is gone.
func (w *writer) failed(err error) error {
	if refusal, ok := errors.AsType[*rules.Refusal](err); ok {
		return w.refuse(refusal)
	}
	w.broken = true
	w.cancel()
	return err
}

// refuse ends the answer, and the upstream's work on it.
func (w *writer) refuse(refusal *rules.Refusal) error {
	if w.state != stateRefused {
		w.state, w.refusal = stateRefused, refusal
		w.cancel()
	}
	return errRefused
}

// finish judges what is held when the inner handlers are done.
func (w *writer) finish(r *http.Request) {
	if w.state == stateWaiting && proxiedStatus(r) == http.StatusSwitchingProtocols {
		// Without an Upgrade in the request reverse_proxy drops such an answer and writes nothing.
		w.WriteHeader(http.StatusSwitchingProtocols)
	}
	short := w.length >= 0 && w.got < w.length && w.mayHaveBody()
	switch {
	case w.broken || w.state == stateWaiting || w.state == stateRefused:
	case short && w.state == statePassing:
		w.broken = true
	case short:
		w.refuse(&rules.Refusal{Reason: rules.Unreadable, Detail: "the answer was cut off"})
	case w.state == stateEmpty:
		w.sendAlone(w.emptyLength())
	case w.state == stateJudging:
		w.close()
	}
}

func (w *writer) close() {
	start := time.Now()
	defer func() { w.spent += time.Since(start) }()
	if w.decode != nil {
		if err := w.decode.Close(); err != nil {
			w.failed(err)
			return
		}
	}
	w.beside(w.candidate.close)
	if err := w.body.Close(); err != nil {
		w.failed(err)
		return
	}
	w.sample.compare(w.m.method, w.m.path)
}

// release gives back what the rewriter holds, also after a panic.
func (w *writer) release() {
	if w.decode != nil {
		w.decode.stop()
	}
	w.candidate.release()
	if w.body != nil {
		w.body.Release()
		if !w.m.canary {
			w.m.h.metrics.streams.Dec()
		}
	}
}

func (w *writer) mayHaveBody() bool { return !w.head && w.length != 0 && bodyAllowed(w.status) }

func bodyAllowed(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}

// contentLength returns the declared length, -1 for none; ok is false where it makes no sense.
func contentLength(header http.Header) (length int64, ok bool) {
	values := header["Content-Length"]
	if len(values) == 0 {
		return -1, true
	}
	n, err := strconv.ParseUint(values[0], 10, 63)
	return int64(n), err == nil && len(values) == 1
}

// proxiedStatus is the status that reverse_proxy got from its upstream, 0 if none did.
func proxiedStatus(r *http.Request) int {
	repl, _ := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if repl == nil {
		return 0
	}
	status, _ := repl.Get("http.reverse_proxy.status_code")
	n, _ := status.(int)
	return n
}

// Interface guards
var (
	_ http.ResponseWriter = (*writer)(nil)
	_ io.ReaderFrom       = (*writer)(nil)
)
