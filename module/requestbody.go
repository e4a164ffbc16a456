package minimize

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/body"
)

// outgoing is a request's body on its way: what was read of it goes through the rewriter, and only what that lets go is
// read by who sends it on, in its own goroutine and never ahead of it. It never closes its source, which is the server's:
// that waits for a read under way.
type outgoing struct {
	p      *passage
	kind   requestKind
	source io.Reader
	in     []byte

	mu        sync.Mutex // the transport may close it while it is read
	decode    *decoder   // nil: it is not encoded
	body      *body.JSON // nil: given back
	candidate *shadow
	came      []byte        // what was read of it, while all of that is kept
	out       []byte        // judged, and not sent yet
	whole     []byte        // all of a body that fits the hold, for a connection that turns out dead
	done      bool          // the body was judged to its end
	reading   bool          // the source is
	err       error         // sticky
	counts    rules.Report  // once it was given back
	beside    *result       // the same by the candidate rules
	counted   int           // in the budget of all holds, besides what the rewriter counts
	spent     time.Duration // in the engine
	begun     bool          // the audit log was told that it flows
}

const readSize = 32 << 10

// open sets up what judges the body.
func (b *outgoing) open() (err error) {
	p := b.p
	if b.body, err = b.kind.rewriter(p.judged, p.h.limits(), b.sink); err != nil {
		return err
	}
	p.h.metrics.streams.Inc()
	if p.rules.candidate != nil {
		b.candidate = p.message.shadowOf(p.judgeBeside(), b.kind)
	}
	if p.kept == nil { // or it was decoded before it was kept
		b.decode, err = newDecoder(p.req.Header["Content-Encoding"], b.judge)
	}
	return err
}

// dress makes the head of a request that of what is left of its body.
func (b *outgoing) dress(out *http.Request) {
	if b.p.disclosure.Position == rules.Egress || b.kind.own != "" { // our own backend may read parameters that we do not know
		out.Header["Content-Type"] = b.kind.header()
	}
	if !b.p.signed && !(b.done && b.decode == nil && b.kind.own == "" && b.body.Unchanged()) {
		for _, name := range digests {
			delete(out.Header, name)
		}
	}
	delete(out.Header, "Content-Encoding") // identity
	delete(out.Header, "Content-Length")
	out.Body, out.ContentLength, out.GetBody = b, -1, nil
	if !b.done {
		return
	}
	b.whole = b.out
	out.ContentLength, out.GetBody = int64(len(b.whole)), b.again
	out.Header["Content-Length"] = []string{strconv.Itoa(len(b.whole))}
	if len(b.whole) == 0 { // all of it was left out
		out.Body, out.GetBody = nil, nil
	}
}

// digests confirm a guess about what was taken out of a body: RFC 9530, RFC 3230, RFC 1864.
var digests = []string{"Content-Digest", "Repr-Digest", "Digest", "Content-Md5"}

// sink takes what was judged.
func (b *outgoing) sink(q []byte, last bool) error {
	b.out = append(b.out, q...)
	if !last {
		b.p.keeps, b.came = false, nil
	}
	return nil
}

// feed judges what was read.
func (b *outgoing) feed(q []byte) {
	if b.decode == nil {
		b.err = b.judge(q)
	} else if _, err := b.decode.Write(q); err != nil {
		b.err = err
	}
	b.count(cap(b.came) + cap(b.out))
}

// judge gives the rewriter plain bytes.
func (b *outgoing) judge(q []byte) error {
	if b.p.keeps {
		b.came = append(b.came, q...)
	}
	b.candidate.write(q)
	start := time.Now()
	_, err := b.body.Write(q)
	b.spent += time.Since(start)
	return err
}

// finish judges the end of the body.
func (b *outgoing) finish() error {
	if b.decode != nil {
		if err := b.decode.Close(); err != nil {
			return err
		}
	}
	b.candidate.close()
	start := time.Now()
	err := b.body.Close()
	b.spent += time.Since(start)
	if err == nil && b.kind.signed && !b.body.Unchanged() { // by what a reader may ignore, such as a byte order mark
		return &rules.Refusal{Reason: rules.SignedBody, Detail: "the message is signed, so it passes unchanged or not at all"}
	}
	return err
}

// try has f read and judge. A panic in it is a refusal: the transport reads in a goroutine of its own, where it would end the
// process.
func (b *outgoing) try(f func()) {
	defer func() {
		if recover() == nil {
			return
		}
		if refusal := b.p.panicked("a request was judged"); b.err == nil {
			b.err = refusal
		}
	}()
	f()
}

// fill reads more. The lock is not held while the client is waited for, and is again even after a panic.
func (b *outgoing) fill() (n int, err error) {
	b.reading = true
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.reading = false
		if b.err != nil { // closed meanwhile
			b.giveBack()
		}
	}()
	return b.source.Read(b.in)
}

// pump reads on until something may leave.
func (b *outgoing) pump() {
	for len(b.out) <= b.withheld() && !b.done && b.err == nil {
		n, err := b.fill()
		if b.err != nil {
			return
		}
		if n > 0 {
			b.feed(b.in[:n])
		}
		switch {
		case b.err != nil || err == nil:
		case err == io.EOF:
			b.err, b.done = b.finish(), true
		default:
			b.err = err // the client is gone
		}
	}
}

// Read hands on what may leave now.
func (b *outgoing) Read(q []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.try(func() { n = b.next(q) })
	switch {
	case b.err != nil:
		return 0, b.err
	case b.done && len(b.out) == 0:
		return n, io.EOF
	}
	return n, nil
}

// next is what may leave now. Who has a request whole can count on its audit line.
func (b *outgoing) next(q []byte) (n int) {
	b.pump()
	if b.err == nil && len(b.out) > b.withheld() {
		if b.begin(); b.err == nil {
			n = b.release(q)
		}
	}
	if b.err == nil && b.done && len(b.out) == 0 {
		if refusal := b.tell(""); refusal != nil {
			b.err = refusal
		}
	}
	return n
}

// begin tells that a body begins to flow.
func (b *outgoing) begin() {
	if b.done || b.begun {
		return
	}
	if refusal := b.p.h.app.audit.begin(b.p.message, 0, b.report()); refusal != nil {
		b.err = refusal
	}
	b.begun = true
}

// withheld is how many bytes wait for the audit line where that is required: nobody has a request whole without it.
func (b *outgoing) withheld() int {
	if b.p.h.app.audit.required && !b.done {
		return 1
	}
	return 0
}

// release gives judged bytes away, if nothing has changed since.
func (b *outgoing) release(q []byte) (n int) {
	if b.p.lapsed != nil {
		if refusal := b.p.lapsed(); refusal != nil {
			b.err = refusal
			return 0
		}
	}
	if !b.p.people.still(func() { n = copy(q, b.out[:len(b.out)-b.withheld()]) }) {
		b.err = errChanged
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
	switch {
	case b.err != nil && b.err != errClosed:
		return nil, b.err
	case b.whole == nil: // discarded
		return nil, errClosed
	}
	fresh := &outgoing{p: b.p, out: b.whole, done: true}
	addReport(&fresh.counts, b.report())
	fresh.beside = b.byCandidate()
	return fresh, nil
}

// failure is why the body could not be sent.
func (b *outgoing) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// report is what was decided so far.
func (b *outgoing) report() *rules.Report {
	if b.body != nil {
		return b.body.Report()
	}
	return &b.counts
}

// byCandidate is the same by candidate rules; nil: there are none. It outlives its rewriter.
func (b *outgoing) byCandidate() *result {
	if b.candidate == nil {
		return b.beside
	}
	res, report := b.candidate.result(), new(rules.Report)
	addReport(report, res.report)
	res.report = report
	return res
}

// tell records what becomes of the request, "": it is sent.
func (b *outgoing) tell(outcome string) *rules.Refusal {
	return b.p.tell(outcome, b.report(), b.byCandidate())
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
		b.try(b.giveBack)
	}
	return nil
}

// giveBack also tells how long judging took, without the waiting for the client and without candidate rules.
func (b *outgoing) giveBack() {
	if b.body == nil {
		return
	}
	b.p.h.metrics.streams.Dec()
	b.p.h.metrics.engine.Observe(b.spent.Seconds())
	addReport(&b.counts, b.body.Report())
	b.beside = b.byCandidate()
	if b.decode != nil {
		b.decode.stop()
	}
	b.body.Release()
	b.candidate.release()
	b.body, b.candidate, b.decode = nil, nil, nil
}

// discard forgets what was held for another connection.
func (b *outgoing) discard() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.came, b.whole = nil, nil
	b.count(0)
}

// count tells the budget of all holds how much is held here.
func (b *outgoing) count(n int) {
	b.p.h.app.budget.Hold(int64(n - b.counted))
	b.counted = n
}
