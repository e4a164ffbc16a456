package body

import (
	"bytes"
	"unsafe"

	"github.com/caddy-minimize/minimize/rules"
)

const (
	defaultHold = 1 << 20
	stepSize    = 32 << 10 // input is looked at in steps of so many bytes
	windowSize  = 64 << 10 // once the hold was full, so much goes out at once
	maxWindow   = 1 << 30  // of a body that must not leave in parts, whatever max_body says

	holeSize   = int(unsafe.Sizeof(hole{}))
	recordSize = int(unsafe.Sizeof(record{}))
	slotSize   = int(unsafe.Sizeof(slot{}))
	hitSize    = int(unsafe.Sizeof(rules.Hit{}))
)

// step looks at what came since the last one, and lets go what is ready.
func (w *JSON) step() error {
	if w.limits.HoldAll && w.report.Read > w.limits.MaxBody {
		return &rules.Refusal{Reason: rules.Unreadable, Detail: "the body is larger than max_body"}
	}
	if w.syntax == document && !w.start() {
		return nil
	}
	if err := w.read(); err != nil {
		return err
	}
	if w.observer == nil { // who observes is told offsets into all of the body
		w.shed()
		w.squeeze()
	}
	if w.limits.HoldAll {
		return w.holdAll()
	}
	if w.final {
		return nil
	}
	full := w.full() || !w.reserve(false)
	w.flowing = w.flowing || full
	if !w.flowing {
		return nil
	}
	if full || len(w.held) >= windowSize {
		if err := w.flush(w.ready()); err != nil {
			return err
		}
	}
	w.relieve()
	if !w.full() && (w.taken == 0 || !w.limits.Budget.overdrawn()) {
		return nil
	}
	w.giveUp()
	err := w.flush(w.settled())
	w.relieve() // what is left is a part of one token
	return err
}

// read looks at what the window holds.
func (w *JSON) read() error {
	switch w.syntax {
	case form:
		return w.scanForm()
	case multipart:
		return w.scanParts()
	}
	return w.scan()
}

// holdAll bounds a body that must not leave in parts.
func (w *JSON) holdAll() error {
	if len(w.held) > maxWindow || !w.reserve(false) {
		return &rules.Refusal{Reason: rules.Unavailable, Detail: "the memory for held bodies is used up"}
	}
	return nil
}

// start drops a byte order mark. It reports false while that cannot be told yet.
func (w *JSON) start() bool {
	const mark = "\xef\xbb\xbf"
	if w.started {
		return true
	}
	if len(w.held) < len(mark) && string(w.held) == mark[:len(w.held)] && !w.final {
		return false
	}
	w.started = true
	if len(w.held) >= len(mark) && string(w.held[:len(mark)]) == mark {
		w.shift(0, len(mark))
	}
	return true
}

// shed forgets the bytes of what is being taken away: they were read, and none of them goes out.
func (w *JSON) shed() {
	if w.skip != 0 {
		start := w.holes[w.skipHole].start
		n := w.pos - start
		w.shift(start, n)
		w.pos -= n
		if w.mid != 0 {
			w.mid -= n
		}
		w.part.sought -= n
	}
}

// squeeze shortens space without end before a value. It cannot go out before the value is decided, since it goes with it.
func (w *JSON) squeeze() {
	if w.syntax != document || w.depth == 0 || w.skip != 0 || w.state >= wantNext || w.pos < len(w.held) {
		return
	}
	i := len(w.held)
	for i > 0 && isSpace(w.held[i-1]) {
		i--
	}
	if len(w.held)-i >= stepSize {
		w.shift(i+1, len(w.held)-i-1)
		w.pos = len(w.held)
	}
}

// shift takes n bytes at from out of the window.
func (w *JSON) shift(from, n int) {
	rest := copy(w.held[from:], w.held[from+n:])
	clear(w.held[from+rest:])
	w.held = w.held[:from+rest]
	w.base += int64(n)
}

// settled returns up to where no byte can be taken away by what is still to come of its own member.
func (w *JSON) settled() int {
	switch {
	case w.skip != 0 || w.depth == 0 || w.state == wantNext:
		return w.pos
	case w.state == inString:
		return w.piece
	}
	return w.frames[w.depth].comma
}

// ready returns up to where everything is decided.
func (w *JSON) ready() int {
	limit := w.settled()
	if fr := &w.frames[w.depth]; w.wording(fr) {
		limit = min(limit, w.holes[fr.hole].comma)
	}
	if w.undecided == 0 {
		return limit
	}
	for i := range w.records {
		if r := &w.records[i]; i > 0 && r.open && r.table == nil {
			return min(limit, r.comma)
		}
	}
	return limit
}

// finish lets go the whole rest.
func (w *JSON) finish() error {
	switch {
	case w.report.Read == 0 && w.syntax == document:
		return &rules.Refusal{Reason: rules.Unreadable, Detail: "the body is empty"}
	case w.state != wantEnd || w.pos < len(w.held):
		return w.unreadable(len(w.held), "the body is cut off")
	}
	return w.emit(len(w.holes), len(w.held), true)
}

// flush lets go the window up to limit.
func (w *JSON) flush(limit int) error {
	if limit <= 0 {
		return nil
	}
	n := len(w.holes)
	for n > 0 && w.holes[n-1].comma >= limit {
		n--
	}
	if err := w.emit(n, limit, false); err != nil {
		return err
	}
	w.carry(n, limit)
	return nil
}

// emit judges the first n holes and gives the window up to limit to the sink.
func (w *JSON) emit(n, limit int, last bool) error {
	for w.judgings = 0; ; {
		sent, err := w.try(n, limit, last)
		if sent || err != nil {
			if w.observer != nil {
				w.tell(n)
			}
			return err
		}
	}
}

// try reports false where somebody said something anew before the first byte left: the window is to be judged again.
func (w *JSON) try(n, limit int, last bool) (bool, error) {
	was := w.before()
	if w.people != nil {
		w.ask()
	}
	if err := w.judgeHoles(n); err != nil {
		return false, err
	}
	changed, err := w.splice(n, limit)
	if err != nil {
		return false, err
	}
	if w.changed = w.changed || changed; w.changed && w.signed {
		return false, &rules.Refusal{Reason: rules.SignedBody, Detail: "the body is signed, so it passes unchanged or not at all"}
	}
	p := w.held[:limit]
	if changed {
		p = w.out
	}
	if w.syntax == multipart && w.report.Written == 0 {
		p = bytes.TrimPrefix(p, []byte("\r\n")) // the first boundary has none, and the part that stood first may be gone
	}
	w.reserve(true)
	if len(p) == 0 && !last {
		return true, nil
	}
	w.report.Written += int64(len(p))
	sent, err := w.send(p, limit, last)
	if !sent && err == nil {
		w.again(n, was)
	}
	return sent, err
}

// carry moves what is left of the window to its start, behind the first n holes and limit bytes.
func (w *JSON) carry(n, limit int) {
	n = w.carryFrames(n, limit)
	w.carryRecords(n, limit)
	hits, words := int32(len(w.hits)), int32(len(w.words))
	if n < len(w.holes) {
		hits, words = w.holes[n].hits, w.holes[n].words
	}
	w.hits = behind(w.hits, int(hits))
	w.words = behind(w.words, int(words))
	w.holes = behind(w.holes, n)
	w.pending = 0
	for i := range w.holes {
		h := &w.holes[i]
		h.move(n, limit, hits, words)
		h.record, h.starts = w.moves[h.record], w.moves[h.starts]
		if h.pending && h.end == open {
			w.pending++
		}
	}
	w.shift(0, limit)
	w.pos -= limit
	w.piece -= limit
	w.part.sought -= limit
	if w.mid != 0 {
		w.mid -= limit
	}
	if w.skip != 0 && w.skipHole < 0 {
		w.skipHole = len(w.holes)
		w.mark(gone, 0, open)
		w.holes[w.skipHole].depth = uint8(w.skip - 1)
	}
	if cap(w.held) > 4*windowSize && len(w.held) < windowSize {
		w.held = append(make([]byte, 0, 2*windowSize), w.held...)
		w.out = nil
	}
}

// carryFrames ties the open frames to the holes that are left. What was taken away while it was open is from here on
// skipped to its end, with the holes in it. It returns how many holes go.
func (w *JSON) carryFrames(n, limit int) int {
	w.skipHole -= n
	for d := range w.depth + 1 {
		fr := &w.frames[d]
		fr.comma -= limit
		if fr.hole == none {
			continue
		}
		if int(fr.hole) >= n {
			fr.hole -= int32(n)
			continue
		}
		h := &w.holes[fr.hole]
		if w.skip == 0 && (h.taken() || h.starts != 0 && w.records[h.starts].dropped) {
			w.skip, w.skipHole, n = d, none, len(w.holes)
		}
		fr.hole = none
	}
	return n
}

// carryRecords keeps the records that are open or start behind limit, and notes where each went.
func (w *JSON) carryRecords(n, limit int) {
	w.moves = w.moves[:0]
	kept := w.records[:0]
	for i, r := range w.records {
		w.moves = append(w.moves, int32(len(kept)))
		if i > 0 && !r.open && r.comma < limit {
			continue
		}
		r.comma -= limit
		r.start -= limit
		r.parent = w.moves[r.parent]
		if r.hole -= int32(n); r.hole < 0 {
			r.hole = none
		}
		kept = append(kept, r)
	}
	w.records = kept
	w.carryCrowd()
	for d := range w.depth + 1 {
		w.frames[d].record = w.moves[w.frames[d].record]
	}
}

func (h *hole) move(n, limit int, hits, words int32) {
	h.start -= limit
	h.comma -= limit
	if h.end != open {
		h.end -= limit
	}
	h.next -= int32(n)
	h.hits, h.hitsEnd = h.hits-hits, h.hitsEnd-hits
	h.words, h.wordsEnd = h.words-words, h.wordsEnd-words
}

// full reports whether the window holds what it may, the same for the same body however it is cut. Notes about the window
// may outgrow it where every other byte is a value that rules speak of; they are bounded, too.
func (w *JSON) full() bool {
	notes := len(w.facts) + len(w.subjects) + len(w.holes)*holeSize + len(w.records)*recordSize + len(w.slots)*slotSize + len(w.hits)*hitSize
	return len(w.held) >= w.limits.Hold || notes >= 4*w.limits.Hold
}
