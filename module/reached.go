package minimize

import (
	"slices"
	"sync"

	"github.com/caddy-minimize/minimize/rules"
)

// maxReached is how many data subjects of one message are told apart, maxNamed of how many more is kept than who they are.
const (
	maxReached = 10_000
	maxNamed   = 20
)

// reached is whom a message told something of above general. Nothing of it leaves the process as it is. A nil one is nobody.
type reached struct {
	mu    sync.Mutex // a transport reads a body in its own time
	ids   []string
	known map[string]struct{} // the ids, where they are many
	first []reachedPerson
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
	if len(r.ids) >= maxReached || r.has(subject) {
		return
	}
	id := string(subject)
	r.ids = append(r.ids, id)
	if r.known != nil {
		r.known[id] = struct{}{}
	}
	if len(r.first) < maxNamed {
		r.first = append(r.first, reachedPerson{id, person})
	}
}

// has reports whether a data subject is noted. Few are found without a map.
func (r *reached) has(subject []byte) (known bool) {
	if len(r.ids) < maxNamed {
		return slices.ContainsFunc(r.ids, func(id string) bool { return id == string(subject) })
	}
	if r.known == nil {
		r.known = make(map[string]struct{}, 4*maxNamed)
		for _, id := range r.ids {
			r.known[id] = struct{}{}
		}
	}
	_, known = r.known[string(subject)]
	return known
}

// forget begins anew, where the same message is judged again.
func (r *reached) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids, r.known, r.first = nil, nil, nil
}

// count is how many data subjects there are; maxReached means that there may be more.
func (r *reached) count() int { return len(r.all()) }

// all are their ids, in the order in which they were told of.
func (r *reached) all() []string {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ids
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
