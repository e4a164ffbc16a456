package minimize

import (
	"slices"
	"sync"

	"github.com/cespare/xxhash/v2"

	"github.com/caddy-minimize/minimize/rules"
)

// maxReached is from how many data subjects of one message on no more are noted: 16 MiB by then, which is less than the records
// in it. Of maxNamed more is kept than a hash.
const (
	maxReached = 1_000_000
	maxNamed   = 20
)

// personHash stands for a data subject in the counters. It is the same in every process, so whatever leaves memory is hashed
// again with a secret.
type personHash uint64

func hashPerson[ID string | []byte](id ID) personHash { return personHash(xxhash.Sum64([]byte(id))) }

// reached is whom a message told something of above general. Nothing of it leaves the process as it is. A nil one is nobody.
type reached struct {
	mu     sync.Mutex   // a transport reads a body in its own time
	people []personHash // some of them twice, until somebody asks
	full   bool
	first  []reachedPerson
}

// reachedPerson is a data subject, and what the store knew: nil, where nobody asked.
type reachedPerson struct {
	id     string
	person *rules.Person
}

// add notes a data subject.
func (r *reached) add(subject []byte, person *rules.Person) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.ContainsFunc(r.first, func(p reachedPerson) bool { return p.id == string(subject) }) {
		return
	}
	if len(r.first) < maxNamed {
		r.first = append(r.first, reachedPerson{string(subject), person})
	}
	if !r.full && len(r.people) == cap(r.people) {
		r.makeRoom()
	}
	if !r.full {
		r.people = append(r.people, hashPerson(subject))
	}
}

// makeRoom forgets who is noted twice, and takes more memory where half of it is in use then, so that sorting stays rare.
func (r *reached) makeRoom() {
	r.compact()
	if r.full = len(r.people) >= maxReached; !r.full && 2*len(r.people) >= cap(r.people) {
		r.people = slices.Grow(r.people, max(maxNamed, len(r.people)))
	}
}

func (r *reached) compact() {
	slices.Sort(r.people)
	r.people = slices.Compact(r.people)
}

// forget begins anew, where the same message is judged again.
func (r *reached) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.people, r.first, r.full = nil, nil, false
}

// count is how many data subjects there are; from maxReached on there may be more.
func (r *reached) count() int { return len(r.all()) }

// all are the data subjects, each once.
func (r *reached) all() []personHash {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.compact()
	return slices.Clone(r.people)
}

// named are the first of them.
func (r *reached) named() []reachedPerson {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first
}
