package consentstore

import (
	"context"

	"github.com/caddy-minimize/minimize/rules"
)

// people are what one message may know.
type people struct {
	*Source
	ctx context.Context
}

// Find implements rules.People.
func (v people) Find(found []*rules.Person, subjects [][]byte) {
	clear(found)
	if !v.Fresh() {
		return
	}
	hits, missing := 0, 0
	for i, id := range subjects {
		if n := v.cache.get(id); n != nil {
			found[i] = &n.person
			hits++
		} else if ValidID(id) { // whoever cannot be stored cannot have objected either: nobody can tell
			missing++
		}
	}
	v.hits.Add(uint64(hits))
	if missing > 0 {
		v.misses.Add(uint64(missing))
		v.findMissing(found, subjects, missing)
	}
}

func (v people) findMissing(found []*rules.Person, subjects [][]byte, missing int) {
	keys := make([]string, 0, missing)
	for i, id := range subjects {
		if found[i] == nil && ValidID(id) {
			keys = append(keys, string(id))
		}
	}
	k := 0
	nodes := v.read(v.ctx, keys)
	for i := range found {
		if found[i] != nil || !ValidID(subjects[i]) {
			continue
		}
		if nodes[k] != nil {
			found[i] = &nodes[k].person
		}
		k++
	}
}

// Case implements rules.People.
func (v people) Case(id string) *rules.Case {
	if !v.Fresh() || !ValidID(id) {
		return nil
	}
	n := v.read(v.ctx, []string{CaseKey(id)})[0]
	if n == nil {
		return nil
	}
	return n.kase
}

// Seen implements rules.People.
func (v people) Seen(nth []int, caller string, subjects [][]byte, most int) {
	clear(nth)
	if !v.Fresh() || !ValidID(caller) {
		return
	}
	ids := make([]string, 0, len(subjects))
	for _, id := range subjects {
		if ValidID(id) {
			ids = append(ids, string(id))
		}
	}
	numbers, ok := v.count(caller, ids, most)
	for i, k := 0, 0; i < len(subjects) && ok; i++ {
		if ValidID(subjects[i]) {
			nth[i] = numbers[k]
			k++
		}
	}
}

// count asks the store, and waits no longer than it may be away.
func (v people) count(caller string, ids []string, most int) ([]int, bool) {
	answer := make(chan []int, 1)
	// Not the message's context: what a caller who goes away has been shown counts.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(v.ctx), v.stale)
	go func() {
		defer cancel()
		numbers, err := v.store.Seen(ctx, caller, ids, most)
		v.failed(ctx, err, false)
		answer <- numbers
	}()
	select {
	case numbers := <-answer:
		return numbers, numbers != nil
	case <-ctx.Done():
		return nil, false
	}
}

// Send implements rules.People. The order is what counts: a write is under way before it looks whether anything is
// outdated, and Apply outdates before it looks what is under way.
func (v people) Send(found []*rules.Person, write func() error) (sent bool, err error) {
	is := v.writes.begin(found)
	defer v.writes.end(is)
	asked := false
	for _, p := range found {
		if p == nil {
			continue
		}
		asked = true
		if p.Outdated() {
			return false, nil
		}
	}
	if asked && !v.Fresh() {
		return false, nil
	}
	return true, write()
}

// read returns what is known by keys, nil where nobody can tell. All that is missing is one query, and nobody asks for what
// somebody else is asking for.
func (s *Source) read(ctx context.Context, keys []string) []*node {
	ctx, cancel := context.WithTimeout(ctx, s.stale)
	defer cancel()
	nodes := make([]*node, len(keys))
	for s.claim(nodes, keys) && arrive(ctx, nodes) {
		// What changed while it was being loaded is asked for again.
	}
	for i, n := range nodes {
		if !n.ready.Load() || n.person.Outdated() {
			nodes[i] = nil
		}
	}
	return nodes
}

// claim fills in what is missing or outdated, and begins to load what is not in the cache. It reports whether there was
// any of it.
func (s *Source) claim(nodes []*node, keys []string) (any bool) {
	l := load{done: make(chan struct{})}
	for i, n := range nodes {
		if n != nil && (!n.ready.Load() || !n.person.Outdated()) {
			continue
		}
		any = true
		var mine bool
		if nodes[i], mine = s.cache.claim(keys[i], l.done); mine {
			l.nodes, l.keys = append(l.nodes, nodes[i]), append(l.keys, keys[i])
		}
	}
	if len(l.keys) > 0 {
		s.queries.Add(1)
		go s.load(&l)
	}
	return any
}

// load is a query under way.
type load struct {
	done  chan struct{}
	nodes []*node
	keys  []string
}

// load is not for one message only, so that it does not end with one.
func (s *Source) load(l *load) {
	defer close(l.done)
	ctx, cancel := context.WithTimeout(context.Background(), s.stale)
	defer cancel()
	found, err := s.store.Find(ctx, l.keys)
	s.failed(ctx, err, false)
	for i, n := range l.nodes {
		if err != nil {
			s.cache.drop(l.keys[i], n)
		} else {
			n.fill(&found[i])
		}
	}
}

// arrive reports whether all that is being loaded has come in time.
func arrive(ctx context.Context, nodes []*node) bool {
	for _, n := range nodes {
		select {
		case <-n.done:
		case <-ctx.Done():
			return false
		}
	}
	return true
}
