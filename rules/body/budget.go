package body

import (
	"slices"
	"sync/atomic"
	"unsafe"
)

const (
	freeHold  = 32 << 10  // of every body, not counted in the budget
	grainSize = 64 << 10  // the budget is asked for so much at once
	maxPooled = 256 << 10 // a larger buffer is not kept for the next body
)

// Budget bounds the memory of all holds together. Safe for concurrent use.
type Budget struct{ left atomic.Int64 }

// NewBudget returns a budget of so many bytes.
func NewBudget(bytes int64) *Budget {
	b := &Budget{}
	b.left.Store(bytes)
	return b
}

// Left is how many bytes nobody holds now; below 0 where holds took more by force.
func (b *Budget) Left() int64 { return b.left.Load() }

// Hold counts n bytes more that are held elsewhere for a body, or less where n is negative.
func (b *Budget) Hold(n int64) { b.take(n, true) }

// take takes n bytes and reports whether there were so many. By force it takes them anyway.
func (b *Budget) take(n int64, force bool) bool {
	if b == nil || b.left.Add(-n) >= 0 || force {
		return true
	}
	b.left.Add(n)
	return false
}

// overdrawn reports whether more was taken by force than there was.
func (b *Budget) overdrawn() bool { return b != nil && b.left.Load() < 0 }

func (b *Budget) give(n int64) {
	if b != nil && n != 0 {
		b.left.Add(n)
	}
}

// relieve settles with the budget by force, and gives back what the window does not need right now if others need it.
func (w *JSON) relieve() {
	w.reserve(true)
	if w.taken > 0 && w.limits.Budget.overdrawn() {
		w.trim()
		w.reserve(true)
	}
}

// trim shrinks the window's buffers to what they hold.
func (w *JSON) trim() {
	w.held, w.out = slices.Clone(w.held), nil
	w.holes, w.hits, w.words = slices.Clone(w.holes), slices.Clone(w.hits), slices.Clone(w.words)
	w.records, w.slots, w.facts = slices.Clone(w.records), slices.Clone(w.slots), slices.Clone(w.facts)
}

// memory is what the window occupies.
func (w *JSON) memory() int {
	return cap(w.held) + cap(w.out) + cap(w.facts) + cap(w.subjects) + cap(w.holes)*holeSize + cap(w.records)*recordSize + cap(w.slots)*slotSize + cap(w.hits)*hitSize
}

// reserve settles with the budget what the window occupies.
func (w *JSON) reserve(force bool) bool {
	want := int64(max(0, w.memory()-freeHold)+grainSize-1) / grainSize * grainSize
	if want > w.taken && !w.limits.Budget.take(want-w.taken, force) {
		return false
	}
	if want < w.taken {
		w.limits.Budget.give(w.taken - want)
	}
	w.taken = want
	return true
}

// room returns b with room for n more bytes. Large buffers grow by steps, so that a full hold is not held twice.
func room(b []byte, n int) []byte {
	if len(b)+n <= cap(b) {
		return b
	}
	size := max(len(b)+n, min(2*cap(b), max(cap(b)+4*windowSize, defaultHold)), 4<<10)
	if size > windowSize {
		size = (size + windowSize - 1) / windowSize * windowSize
	}
	return append(make([]byte, 0, size), b...)
}

// emptied returns a buffer without what it held.
func emptied[T any](s []T) []T {
	clear(s)
	return s[:0]
}

// behind returns a list without its first n elements, moved to its start.
func behind[T any](s []T, n int) []T {
	rest := copy(s, s[n:])
	clear(s[rest:])
	return s[:rest]
}

// pooled returns a buffer emptied for another body, or none where it is too large to keep.
func pooled[T any](s []T) []T {
	if cap(s)*int(unsafe.Sizeof(*new(T))) > maxPooled {
		return nil
	}
	return emptied(s)
}
