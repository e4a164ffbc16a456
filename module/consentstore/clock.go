package consentstore

import (
	"sync/atomic"
	"time"
)

// clock joins three clocks, of which the latest holds: the machine's, which may jump; the one that runs on from where the
// gateway started; and the database's, running on from its last answer.
type clock struct {
	now     func() time.Time
	began   time.Time // with the monotonic clock
	started time.Time // the same without it
	store   atomic.Pointer[answer]
	shown   atomic.Int64 // in nanoseconds
}

// answer is what the database's clock said, and when it was asked: it said so later, so that no case that the database ended
// now is open here for as long as its answer took.
type answer struct{ said, asked time.Time }

func newClock(now func() time.Time) *clock {
	return &clock{now: now, began: time.Now(), started: now().Round(0)}
}

// wall is the machine's clock alone: with its monotonic reading a time would never jump.
func (c *clock) wall() time.Time { return c.now().Round(0) }

func (c *clock) set(said, asked time.Time) { c.store.Store(&answer{said.Round(0), asked}) }

func (c *clock) time() time.Time {
	t := latest(c.wall(), c.started.Add(time.Since(c.began)))
	if a := c.store.Load(); a != nil {
		t = latest(t, a.said.Add(time.Since(a.asked)))
	}
	for n := t.UnixNano(); ; {
		shown := c.shown.Load()
		if n <= shown {
			return time.Unix(0, shown).UTC()
		}
		if c.shown.CompareAndSwap(shown, n) {
			return t.UTC()
		}
	}
}
