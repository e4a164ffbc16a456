// Package body rewrites message bodies in one strict pass.
//
// Bytes come in as the network cuts them. They are held in a window, scanned once, and what a rule speaks of becomes a
// hole: a place in the window whose decision is known now, or when the record around it ends. When the window closes the
// holes are judged and the bytes between them go out exactly as they came.
package body

import (
	"errors"

	"github.com/caddy-minimize/minimize/rules"
)

// Limits bound what a rewriter holds back.
type Limits struct {
	Hold    int     // bytes held until the body is complete or this many are there; 0: 1 MiB
	HoldAll bool    // nothing leaves before the body is complete; MaxBody bounds it
	MaxBody int64   // with HoldAll: a longer body is refused
	Budget  *Budget // shared by all bodies; nil: no bound
	Signed  bool    // what signs the body stands outside of it: it passes unchanged or not at all
}

// Sink takes output that was fully judged. last says that the body ends with p. p is the rewriter's: use it before returning.
type Sink func(p []byte, last bool) error

// JSON rewrites one JSON document as it arrives. It keeps no reference to what it is given. NewForm and NewMultipart make the
// same rewriter read what a request holds instead of one.
//
// What is not rewritten goes out byte for byte, with three exceptions at the far end: space of more than 32 KiB before a
// value is shortened, a string of more than 64 KiB is blanked where it would be masked or pseudonymized, and a document
// that is stripped as a whole leaves an empty value of its kind, because no value at all would be no JSON.
//
// It is strict (RFC 8259): bad UTF-8, lone surrogates, trailing data, comments and whatever else two readers could read
// differently is refused. Only a leading UTF-8 byte order mark is dropped, which RFC 8259 §8.1 lets a reader ignore and
// forbids a writer to add.
type JSON struct {
	judge  *rules.Judge
	people rules.People                               // nil: nobody is asked
	tellOf func(subject []byte, person *rules.Person) // who is reached; nil: nobody wants to know
	scope  *rules.Scope
	sink   Sink
	limits Limits
	report rules.Report

	run    // of this body alone
	frames [maxDepth + 2]frame
	learnt names // of every body in this scope

	parameters names // of forms and multipart bodies, as they are meant; zero until there is one
	boundary   []byte
	own        []byte                      // the boundary as it is written; nil: as it came
	passes     func(mediaType string) bool // which files are not read

	held    []byte // the window: input that was not given to the sink yet
	out     []byte // the window as it goes out
	holes   []hole
	hits    []rules.Hit
	words   []*rules.Label
	records []record
	slots   []slot
	facts   []byte // what the slots gathered
	values  []rules.Value
	crowd           // whom a store is asked about
	text    []byte  // one value unescaped
	edited  []byte  // one value as it is written
	spare   []byte  // one text with its hits masked
	moves   []int32 // where records went when the window moved on
	context []byte  // what stands before a piece of a giant string
	inner   *JSON   // reads JSON in texts; nil until there is some
	nested  []byte  // what it wrote
	level   int     // how deep in texts this one reads
	stray   field   // a member that is not remembered
}

// run is what a body leaves behind, zero when the next one starts.
type run struct {
	syntax  syntax
	entries int // parameters or parts so far
	part    part

	state  state
	depth  int    // open containers
	pos    int    // where the next token starts
	mid    int    // how far a string that starts at pos was read; 0: it was not
	midEsc bool   // with an escape in it
	field  *field // of the value that comes

	base    int64 // bytes of the body that are not in the window any more
	filled  int   // bytes since the last step
	stride  int   // bytes from step to step
	flowing bool  // the hold has been full: what is ready goes out
	final   bool  // the body is complete
	started bool  // a first byte was seen

	piece     int              // where the undecided rest of a giant string starts
	pieceEsc  bool             // with an escape in it
	flood     rules.CategoryID // a giant string's hit had no end
	named     []*rules.Label   // that a giant string gave values to so far
	undecided int              // open records whose facts are not known yet
	pending   int              // open containers that may be taken away yet
	skip      int              // depth of the container that is taken away; 0: none
	skipHole  int

	signed   bool // it holds its own signature
	changed  bool // something of it did not go out as it came
	calm     bool // nobody asks for what is not declared
	hasWords bool
	detects  bool
	nests    bool // texts may hold names of their own
	mayBlock bool
	observer Observer
	telling  Observer // of what a text holds, while it is told of

	emitted [maxDepth + 1]bool // by depth: the container there has a member in the output
	dropped [maxDepth + 1]bool // and a record was dropped from it

	lastFacts rules.Facts
	lastTable *rules.Table
	why       *rules.Refusal // what was blocked so far
	taken     int64          // from the budget
	err       error
	closed    bool
}

// errClosed is for a caller that goes on after Close.
var errClosed = errors.New("writing a body: it is complete already")

// NewJSON returns a rewriter for one body, possibly a used one. Release it when done.
func NewJSON(j *rules.Judge, l Limits, sink Sink) *JSON {
	scope := j.Scope()
	// A scope keeps its own rewriters, because what they learnt of names is worth nothing in another one.
	w, _ := scope.Cache.Get().(*JSON)
	if w == nil {
		w = &JSON{scope: scope, learnt: newNames(scope)}
	}
	w.reset(j, l, sink)
	return w
}

func (w *JSON) reset(j *rules.Judge, l Limits, sink Sink) {
	if l.Hold <= 0 {
		l.Hold = defaultHold
	}
	w.judge, w.sink, w.limits = j, sink, l
	w.run = run{stride: min(l.Hold, stepSize), signed: l.Signed}
	w.people, w.tellOf = j.People(), j.Reached()
	w.detects, w.hasWords, w.mayBlock = j.Detecting(), w.scope.HasWords(), j.MayBlock()
	w.nests = !j.KeepsAll()
	w.calm = !w.detects && !w.hasWords && fixedKeep(j.Fixed(0))
	w.records = append(w.records[:0], record{hole: none})
	w.frames[0] = frame{hole: none, sure: true}
	w.frames[0].settle(w)
	w.field = w.learnt.root
}

func fixedKeep(d *rules.Decision) bool { return d != nil && d.Action == rules.Keep }

// Write takes the next bytes of the body, cut anywhere. Its error is a *rules.Refusal or the sink's; after one nothing more is
// written, and Close repeats it.
func (w *JSON) Write(p []byte) (int, error) {
	if w.err == nil && w.closed {
		return 0, errClosed
	}
	// The steps fall on the same bytes however the body is cut, so that its output does not depend on the network.
	n := len(p)
	for len(p) > 0 && w.err == nil {
		k := min(len(p), w.stride-w.filled)
		w.held = append(room(w.held, k), p[:k]...)
		w.report.Read += int64(k)
		w.filled += k
		p = p[k:]
		if w.filled == w.stride {
			w.filled = 0
			w.err = w.step()
		}
	}
	return n - len(p), w.err
}

// Close says that the body is complete. Only then is a body that fits the hold written at all.
func (w *JSON) Close() error {
	if w.err != nil || w.closed {
		w.closed = true
		return w.err
	}
	w.final = true
	if w.err = w.step(); w.err == nil {
		w.err = w.finish()
	}
	w.closed = true
	return w.err
}

// Message decides what stands outside the body, such as its header. While the sink is called it is what the window that
// leaves was judged by.
func (w *JSON) Message() *rules.Table { return w.tableOf(0) }

// Unchanged reports whether every byte went out as it came; for after Close.
func (w *JSON) Unchanged() bool { return !w.changed && w.report.Read == w.report.Written }

// Report is what was decided so far; complete after Close. It is the rewriter's until Release.
func (w *JSON) Report() *rules.Report { return &w.report }

// Release gives the rewriter's buffers back. Nothing of it may be used afterwards.
func (w *JSON) Release() {
	w.limits.Budget.give(w.taken)
	w.taken = 0
	if !w.closed {
		return // a panic may have left anything behind
	}
	scope := w.scope
	w.forget()
	scope.Cache.Put(w)
}

// forget leaves nothing of a body in a rewriter that the next one gets.
func (w *JSON) forget() {
	w.held, w.out, w.facts, w.text = pooled(w.held), pooled(w.out), pooled(w.facts), pooled(w.text)
	w.edited, w.spare, w.context = pooled(w.edited), pooled(w.spare), pooled(w.context)
	w.holes, w.hits, w.words, w.named = pooled(w.holes), pooled(w.hits), pooled(w.words), pooled(w.named)
	w.records, w.slots, w.values = pooled(w.records), pooled(w.slots), pooled(w.values)
	clear(w.report.Counts)
	w.report = rules.Report{Counts: w.report.Counts}
	w.stray = field{}
	if w.inner != nil {
		w.inner.forget()
		w.nested = pooled(w.nested)
	}
	w.crowd.forget()
	w.judge, w.people, w.tellOf, w.sink, w.limits, w.run = nil, nil, nil, nil, Limits{}, run{}
	w.boundary, w.own, w.passes = nil, nil, nil
}
