package minimize

import (
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/body"
)

// outgoing is a request's body on its way: what was read of it goes through the rewriter, and only what that lets go is
// read by the transport. It is read in the transport's goroutine, and never ahead of it. It never closes its source,
// which is the server's: that waits for a read under way.
type outgoing struct {
	p      *parcel
	source io.Reader
	in     []byte

	mu        sync.Mutex // the transport may close it while it is read
	body      *body.JSON // nil: given back
	candidate *shadow
	out       []byte // judged, and not sent yet
	whole     []byte // all of a body that fits the hold, for a connection that turns out dead
	done      bool   // the body was judged to its end
	reading   bool   // the source is
	err       error  // sticky
	counts    rules.Report
}

const readSize = 32 << 10

// judgeBody reads the body up to its end or until the hold is full. Within the hold a refusal sends nothing.
func (p *parcel) judgeBody(out *http.Request) *rules.Refusal {
	if p.req.Body == nil || p.req.Body == http.NoBody {
		return p.ready(out)
	}
	b := &outgoing{p: p, source: p.req.Body, in: make([]byte, readSize)}
	n, err := io.ReadAtLeast(b.source, b.in, 1)
	if err == io.EOF { // of an unknown length, and empty
		return p.ready(out)
	}
	if err != nil {
		return &rules.Refusal{Reason: rules.Unreadable, Detail: "the request was cut off"}
	}
	kind, refusal := p.kind()
	if refusal != nil {
		return refusal
	}
	delete(out.Header, "Content-Encoding") // identity
	if b.body, err = kind.rewriter(p.judged, p.h.limits(), b.sink); err != nil {
		return refusalOf(err)
	}
	p.body = b
	if candidate := p.rules.candidate; candidate != nil {
		b.candidate = p.message.shadowOf(candidate.Scope(p.method, p.path).Judge(&p.disclosure), kind)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.feed(b.in[:n])
	b.pump()
	if b.err != nil {
		if refusal, ok := errors.AsType[*rules.Refusal](b.err); ok {
			return refusal
		}
		return &rules.Refusal{Reason: rules.Unreadable, Detail: "the request was cut off"}
	}
	out.Header["Content-Type"] = kind.header()
	switch {
	case b.done && len(b.out) == 0: // all of it was left out
		return p.ready(out)
	case !b.done:
		out.Body, out.ContentLength = b, -1
	default:
		out.Body = b
		b.whole = b.out
		out.ContentLength = int64(len(b.whole))
		out.GetBody = b.again
	}
	return p.ready(out)
}

// kind says how the request's body is read.
func (p *parcel) kind() (requestKind, *rules.Refusal) {
	kind, ok := kindOfRequest(p.req.Header)
	if !ok || p.holds(kind) {
		return kind, &rules.Refusal{Reason: rules.MediaType, Detail: "the request's media type cannot be judged"}
	}
	if codings := p.req.Header["Content-Encoding"]; len(codings) > 1 || len(codings) == 1 && !strings.EqualFold(codings[0], "identity") {
		return kind, &rules.Refusal{Reason: rules.MediaType, Detail: "an encoded request body cannot be judged: send it as it is"}
	}
	if kind.boundary != "" {
		kind.own = rand.Text() // the client's can say anything
	}
	return kind, nil
}

// holds reports whether somebody wrote more than a media type into it.
func (p *parcel) holds(kind requestKind) bool {
	sieve := headerSieve{scope: p.scope, table: p.judged.Table(p.judged.UnknownFacts())}
	digits := 0 // more than a date has are a number, whatever letters stand around it
	for _, c := range kind.mediaType {
		if '0' <= c && c <= '9' {
			digits++
		}
	}
	return digits > 8 || sieve.holds(kind.mediaType, 0, false)
}

// ready tells that the request is judged as far as it is held. A last look is at whether it may still leave.
func (p *parcel) ready(out *http.Request) *rules.Refusal {
	if refusal := p.lapsed(); refusal != nil {
		return refusal
	}
	if out.Body == nil && !p.people.still(func() {}) {
		return changedMeanwhile()
	}
	return nil
}

func changedMeanwhile() *rules.Refusal {
	return &rules.Refusal{Reason: rules.Unavailable, Detail: "something was said of the people in it while it was sent: send it again"}
}

// sink takes what was judged.
func (b *outgoing) sink(q []byte, _ bool) error {
	b.out = append(b.out, q...)
	return nil
}

// feed judges what was read.
func (b *outgoing) feed(q []byte) {
	b.candidate.write(q)
	if _, err := b.body.Write(q); err != nil {
		b.err = err
	}
}

// pump reads on until something may leave. The lock is held, but not while the client is waited for.
func (b *outgoing) pump() {
	for len(b.out) == 0 && !b.done && b.err == nil {
		b.reading = true
		b.mu.Unlock()
		n, err := b.source.Read(b.in)
		b.mu.Lock()
		b.reading = false
		if b.err != nil { // closed meanwhile
			b.giveBack()
			return
		}
		if n > 0 {
			b.feed(b.in[:n])
		}
		switch {
		case b.err != nil || err == nil:
		case err == io.EOF:
			b.candidate.close()
			b.err, b.done = b.body.Close(), true
		default:
			b.err = err // the client is gone
		}
	}
}

// Read hands on what may leave now.
func (b *outgoing) Read(q []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pump()
	if b.err == nil && len(b.out) > 0 {
		n = b.release(q)
	}
	switch {
	case b.err != nil:
		return 0, b.err
	case b.done && len(b.out) == 0: // who has a request whole can count on its audit line
		b.tell("")
		return n, io.EOF
	}
	return n, nil
}

// release gives judged bytes away, if nothing has changed since.
func (b *outgoing) release(q []byte) (n int) {
	if refusal := b.p.lapsed(); refusal != nil {
		b.err = refusal
		return 0
	}
	if !b.p.people.still(func() { n = copy(q, b.out) }) {
		b.err = changedMeanwhile()
		return 0
	}
	if b.out = b.out[n:]; len(b.out) == 0 {
		b.out = nil
		if !b.done {
			b.p.people.forget()
		}
	}
	return n
}

// again returns the body from its start, for a connection that was closed before it took anything.
func (b *outgoing) again() (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil && b.err != errClosed {
		return nil, b.err
	}
	return &outgoing{p: b.p, out: b.whole, done: true}, nil
}

// failure is why the body could not be sent.
func (b *outgoing) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// tell records what became of the request, "": it was sent.
func (b *outgoing) tell(outcome string) {
	report := &b.counts
	if b.body != nil {
		report = b.body.Report()
	}
	b.p.tell(outcome, report)
}

var errClosed = errors.New("the request's body is closed")

// Close gives the rewriter back.
func (b *outgoing) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = errClosed
	}
	if !b.reading {
		b.giveBack()
	}
	return nil
}

func (b *outgoing) giveBack() {
	if b.body == nil {
		return
	}
	addReport(&b.counts, b.body.Report())
	b.body.Release()
	b.candidate.release()
	b.body, b.candidate = nil, nil
}
