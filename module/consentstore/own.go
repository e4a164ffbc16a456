package consentstore

import "sync"

// own are changes that this node made and the store is still to tell of. What is cached was forgotten when they were made, so
// their echo must not outdate what was read since: whoever agrees and asks at once would be told that something changed.
type own struct {
	mu      sync.Mutex
	era     int   // how often all was forgotten
	heard   int64 // the newest Seq that the store told of
	changes map[Change]struct{}
}

// now is when a change begins.
func (o *own) now() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.era
}

// made notes changes that began in an era, once the cache forgot their keys. Those of an era that is over may be lost, and
// their Seqs given again.
func (o *own) made(era int, changes []Change) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range changes {
		if o.era != era || c.Seq <= o.heard {
			continue
		}
		if o.changes == nil {
			o.changes = map[Change]struct{}{}
		}
		o.changes[c] = struct{}{}
	}
}

// others are the changes up to a Seq that this node did not make.
func (o *own) others(changes []Change, seq int64) (others []Change) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range changes {
		if _, mine := o.changes[c]; mine {
			delete(o.changes, c)
		} else {
			others = append(others, c)
		}
	}
	o.heard = seq
	return others
}

// forget begins an era.
func (o *own) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.era++
	clear(o.changes)
}
