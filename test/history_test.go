package test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// change is a consent that was given or withdrawn through the API of a node.
type change struct {
	give    bool
	node    int
	started time.Time
	ended   time.Time // when it was acknowledged, or when it was clear that it would not be
	acked   bool      // else nobody knows whether it was done
}

// pending is how long a change that was not acknowledged may still come to be: longer than any fault of these tests keeps a
// commit on its way.
const pending = 3 * time.Second

// settled is when a change is certainly done, or never will be.
func (c *change) settled() time.Time {
	if !c.acked {
		return c.ended.Add(pending)
	}
	return c.ended
}

// reading is one answer: whose values it could show, and whose it showed.
type reading struct {
	node    int
	started time.Time // when the request was sent
	first   time.Time // when the first byte of the answer left
	last    time.Time // when the last one did, where it left in parts
	asked   []int
	shown   []int
}

// history is what was done and seen: the changes of each data subject one after the other.
type history struct {
	mu       sync.Mutex
	changes  map[int][]change
	readings []reading
}

func newHistory() *history { return &history{changes: map[int][]change{}} }

func (h *history) changed(subject int, c change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changes[subject] = append(h.changes[subject], c)
}

func (h *history) read(r reading) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readings = append(h.readings, r)
}

// bound is how long after its acknowledgement a withdrawal may go unnoticed on the other nodes.
const bound = time.Second

// result is what a history proves.
type result struct {
	leaks       []string
	withdrawals int           // acknowledged ones
	latest      time.Duration // how long after an acknowledged withdrawal another node showed a value
	owed        int           // values that a consent of more than bound ago lets be seen
	paid        int           // how many of those were seen
}

// check judges every value that was seen by all changes of its data subject.
func (h *history) check() (res result) {
	for _, changes := range h.changes {
		for _, c := range changes {
			if !c.give && c.acked {
				res.withdrawals++
			}
		}
	}
	for i := range h.readings {
		r := &h.readings[i]
		for _, subject := range r.asked {
			shown := slices.Contains(r.shown, subject)
			late, leaks := h.late(r, subject)
			switch {
			case shown && leaks:
				res.leaks = append(res.leaks, fmt.Sprintf("node %d showed data subject %d: the request started at %s, its answer at %s, after %s",
					r.node, subject, clock(r.started), clock(r.first), h.of(subject)))
			case shown:
				res.latest = max(res.latest, late)
			}
			if h.owed(r, subject) {
				res.owed++
				if shown {
					res.paid++
				}
			}
		}
	}
	return res
}

// end is up to when a consent that is given may still show in a reading.
func (r *reading) end() time.Time {
	if r.last.IsZero() {
		return r.first
	}
	return r.last
}

// late tells whether a reading may not show the value of a data subject any more, and how long ago it was withdrawn.
func (h *history) late(r *reading, subject int) (late time.Duration, leaks bool) {
	changes := h.changes[subject]
	allowed := false
	for i := range changes {
		c := &changes[i]
		switch {
		case c.give && !c.started.After(r.end()):
			allowed, late = true, 0
		case c.started.After(r.first):
		case !c.acked || h.mayBeGiven(changes[:i], c.started):
		case c.holds(r):
			allowed = false
		default:
			late = max(late, r.first.Sub(c.ended))
		}
	}
	return late, !allowed
}

// holds reports whether a withdrawal counts for a reading: on the node that took it from the moment it was acknowledged. There
// a body that leaves in parts may have begun before.
func (c *change) holds(r *reading) bool {
	if c.node != r.node {
		return r.first.After(c.ended.Add(bound))
	}
	return r.started.After(c.ended) || r.last.IsZero() && r.first.After(c.ended)
}

// mayBeGiven reports whether a consent may come to be after a withdrawal that came after it.
func (h *history) mayBeGiven(before []change, withdrawn time.Time) bool {
	return slices.ContainsFunc(before, func(c change) bool { return c.give && c.settled().After(withdrawn) })
}

// owed reports whether a consent had been given for so long, and nothing was under way, that every node must know it.
func (h *history) owed(r *reading, subject int) bool {
	given := false
	for _, c := range h.changes[subject] {
		switch {
		case c.started.After(r.end()):
			return given
		case c.give && c.acked:
			given = r.started.After(c.ended.Add(bound))
		default:
			given = false
		}
	}
	return given
}

func (h *history) of(subject int) (text string) {
	for _, c := range h.changes[subject] {
		text += fmt.Sprintf("[%s on %d: %s-%s %t]", map[bool]string{true: "given", false: "withdrawn"}[c.give], c.node, clock(c.started), clock(c.ended), c.acked)
	}
	return text
}

func clock(t time.Time) string { return t.Format("05.000000") }

// TestHistoryChecker gives the checker histories that are wrong: a check that none of them fails proves nothing.
func TestHistoryChecker(t *testing.T) {
	at := func(seconds float64) time.Time { return time.Unix(0, int64(seconds*1e9)) }
	// Given through node 0 and withdrawn through node 1, which acknowledged at second 5.
	usual := []change{{true, 0, at(1), at(1.1), true}, {false, 1, at(4.9), at(5), true}}
	for _, tc := range []struct {
		name    string
		changes []change
		reading reading
		leaks   bool
	}{
		{"never given", nil, reading{node: 0, started: at(2), first: at(2.1)}, true},
		{"given", usual, reading{node: 2, started: at(2), first: at(2.1)}, false},
		{"another node within the bound", usual, reading{node: 2, started: at(5.5), first: at(5.9)}, false},
		{"another node after the bound: the push is broken", usual, reading{node: 2, started: at(5.5), first: at(6.1)}, true},
		{"the node that took it, asked before", usual, reading{node: 1, started: at(4.5), first: at(4.8)}, false},
		{"the node that took it, asked after", usual, reading{node: 1, started: at(5.01), first: at(5.02)}, true},
		{"the node that took it, asked before, answered after", usual, reading{node: 1, started: at(4.5), first: at(5.02)}, true},
		{"the same of a body in parts", usual, reading{node: 1, started: at(4.5), first: at(5.02), last: at(5.5)}, false},
		{"given again", append(usual[:2:2], change{true, 2, at(5.5), at(5.6), true}), reading{node: 0, started: at(7), first: at(7.1)}, false},
		{"given again, while the body was on its way", append(usual[:2:2], change{true, 2, at(7.3), at(7.4), true}), reading{node: 0, started: at(7), first: at(7.1), last: at(7.5)}, false},
		{"given again, not yet", append(usual[:2:2], change{true, 2, at(8), at(8.1), true}), reading{node: 0, started: at(7), first: at(7.1)}, true},
		{"withdrawn twice", append(usual[:2:2], change{false, 0, at(6), at(6.1), true}), reading{node: 2, started: at(6.5), first: at(6.6)}, true},
		{"withdrawn, perhaps", []change{usual[0], {false, 1, at(4.9), at(5), false}}, reading{node: 1, started: at(8), first: at(8.1)}, false},
		{"given, perhaps, and withdrawn soon", []change{{true, 0, at(1), at(1.1), false}, {false, 1, at(3), at(3.1), true}}, reading{node: 1, started: at(8), first: at(8.1)}, false},
		{"given, perhaps, long before it was withdrawn", []change{{true, 0, at(1), at(1.1), false}, {false, 1, at(20), at(20.1), true}}, reading{node: 1, started: at(21), first: at(21.1)}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHistory()
			for _, c := range tc.changes {
				h.changed(7, c)
			}
			tc.reading.asked, tc.reading.shown = []int{7}, []int{7}
			h.read(tc.reading)
			if res := h.check(); (len(res.leaks) > 0) != tc.leaks {
				t.Errorf("leaks: %v, want any: %t", res.leaks, tc.leaks)
			}
		})
	}
}
