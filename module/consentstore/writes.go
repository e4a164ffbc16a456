package consentstore

import (
	"slices"
	"sync"
	"time"

	"github.com/caddy-minimize/minimize/rules"
)

// underway are the writes to callers that have begun.
type underway struct {
	mu  sync.Mutex
	all map[*writing]struct{}
}

// writing is a write, and whom it is about.
type writing struct {
	people []*rules.Person
	done   chan struct{}
}

func (w *underway) begin(people []*rules.Person) *writing {
	is := &writing{people, make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[*writing]struct{}{}
	}
	w.all[is] = struct{}{}
	return is
}

func (w *underway) end(is *writing) {
	w.mu.Lock()
	delete(w.all, is)
	w.mu.Unlock()
	close(is.done)
}

// outdated are the writes about somebody of whom something is known anew.
func (w *underway) outdated() (begun []*writing) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for is := range w.all {
		if slices.ContainsFunc(is.people, func(p *rules.Person) bool { return p != nil && p.Outdated() }) {
			begun = append(begun, is)
		}
	}
	return begun
}

// wait waits for these writes, for d at most: a caller who reads slowly does not hold up a withdrawal for ever.
func (w *underway) wait(d time.Duration) {
	late := time.NewTimer(d)
	defer late.Stop()
	for _, is := range w.outdated() {
		select {
		case <-is.done:
		case <-late.C:
			return
		}
	}
}
