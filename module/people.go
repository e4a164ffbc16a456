package minimize

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caddy-minimize/minimize/rules"
)

// sending is what a store knows, for one message. It notes whether bytes leave right now under the store's guard: only then
// may they show what a data subject agreed to.
type sending struct {
	rules.People
	hasty   rules.People // waits for nothing
	waited  time.Duration
	guarded bool
}

// bodyPatience is how long the body of one message waits for a store that is slow but not away: a long body has many windows, and each
// could wait anew. After that only what is cached is known.
const bodyPatience = time.Second

func newSending(shared *consents, ctx context.Context) *sending {
	over, cancel := context.WithCancel(ctx)
	cancel()
	return &sending{People: shared.For(ctx), hasty: shared.For(over)}
}

// Find waits no longer than there is patience.
func (s *sending) Find(people []*rules.Person, subjects [][]byte) {
	if s.waited >= bodyPatience {
		s.hasty.Find(people, subjects)
		return
	}
	start := time.Now()
	s.People.Find(people, subjects)
	s.waited += time.Since(start)
}

// Seen counts nobody once there is no patience left: everybody is one too many.
func (s *sending) Seen(nth []int, caller string, subjects [][]byte, most int) {
	if s.waited >= bodyPatience {
		clear(nth)
		return
	}
	start := time.Now()
	s.People.Seen(nth, caller, subjects, most)
	s.waited += time.Since(start)
}

// Send notes that the guard is there.
func (s *sending) Send(people []*rules.Person, write func() error) (bool, error) {
	return s.People.Send(people, func() error {
		s.guarded = true
		defer func() { s.guarded = false }()
		return write()
	})
}

// outside is the table for what stands outside all records, such as the header, of a judged body.
func (w *writer) outside() *rules.Table {
	if table := w.body.Message(); table != nil {
		return table
	}
	said, _ := w.m.judged.Message()
	return w.m.table(&said, nil, 0)
}

// table is what holds of the message's data subject; of nobody: where nobody can tell what else they said.
func (m *message) table(said *rules.Pending, person *rules.Person, nth int) *rules.Table {
	return m.judged.Table(m.judged.Complete(said, person, nth, m.judged.Now()))
}

// maxHeaderJudgings is how often a header is judged again because its data subject said something anew meanwhile.
const maxHeaderJudgings = 4

// sendAlone sends a header that no judged body follows.
func (w *writer) sendAlone(length int64) {
	if refusal := w.arrival.late(); refusal != nil { // it answers a part of the request
		w.refuse(refusal)
		return
	}
	judged := w.m.judged
	said, subject := judged.Message()
	people, found, nth, subjects := judged.People(), []*rules.Person{nil}, []int{0}, [][]byte{[]byte(subject)}
	for range maxHeaderJudgings {
		if people == nil {
			break // what anybody said changes nothing
		}
		if said.Known() {
			people.Find(found, subjects)
			judged.Seen(nth, subjects)
		}
		// An error is the client's, which is gone: there is nobody to tell.
		if sent, _ := people.Send(found, func() error {
			w.sendTold(length, w.m.table(&said, found[0], nth[0]), found[0])
			return w.push()
		}); sent {
			return
		}
	}
	w.sendTold(length, w.m.table(&said, nil, 0), nil)
}

// sendTold sends a header that no judged body follows, once it was told of. The end of an opaque body is told of later, unless
// nothing may leave that is not in the audit log: nobody holds that end back.
func (w *writer) sendTold(length int64, outside *rules.Table, person *rules.Person) {
	w.cleanHeader(outside, person)
	if w.state == stateEmpty || w.m.h.app.audit.required {
		if refusal := w.record(w.outcome()); refusal != nil {
			w.refuse(refusal)
			return
		}
	}
	w.sendHeader(length)
}

// push has what was written leave at once where a change of a consent waits for it: what net/http still holds when the
// guard is gone would leave after the change was acknowledged. Behind `encode` a header without a body stays held until
// the handlers return.
func (w *writer) push() error {
	if w.m.people == nil || !w.m.people.guarded {
		return nil
	}
	if err := http.NewResponseController(w.w).Flush(); !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// emptyLength is the Content-Length of an answer without a body. Where the header is flushed it is said by us, because it
// leaves before net/http knows that nothing follows. The upstream's own, of HEAD and 304, is that of the unjudged body.
func (w *writer) emptyLength() int64 {
	if w.m.people == nil || w.head || !bodyAllowed(w.status) {
		return -1
	}
	return 0
}
