package minimize

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-minimize/minimize/module/consentstore"
	"github.com/caddy-minimize/minimize/rules"
)

// gpcPatience is how long a request waits until its objections are stored. Where that takes longer the next one tries
// again; this one is judged as objected in any case.
const gpcPatience = 500 * time.Millisecond

// maxObjections bounds the memory for whose objections are stored already.
const maxObjections = 100_000

// objections remembers whose Sec-GPC is recorded, so that not each of their requests asks the store.
type objections struct {
	mu    sync.Mutex
	known map[string]bool // true: they are stored; false: they are being stored
}

func (o *objections) stored(key string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.known[key]
}

// claim reports whether these objections are stored, or else whether the caller is to store them.
func (o *objections) claim(key string) (stored, mine bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	stored, known := o.known[key]
	if known {
		return stored, false
	}
	if o.known == nil || len(o.known) >= maxObjections {
		o.known = make(map[string]bool)
	}
	o.known[key] = false
	return false, true
}

// settle notes what became of a claim.
func (o *objections) settle(key string, stored bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if stored {
		o.known[key] = true
	} else {
		delete(o.known, key)
	}
}

// prefersPrivacy reports whether a request carries the signal of https://www.w3.org/TR/gpc/: one field with the value 1.
func prefersPrivacy(r *http.Request) bool {
	values := r.Header["Sec-Gpc"]
	return len(values) == 1 && values[0] == "1"
}

// object takes a Sec-GPC for what it is: an objection of the caller, as a data subject, to the purposes that the rules list.
// It is the person's choice, so that report mode records it, too.
func (m *message) object(r *http.Request) {
	caller := m.disclosure.Caller.ID
	if caller == "" || m.denied != nil || !prefersPrivacy(r) {
		return
	}
	purposes := m.rules.enforced.GPC()
	m.disclosure.Objected = purposes
	shared := m.h.app.consents
	if shared == nil || len(purposes) == 0 {
		return
	}
	key := caller + "\x00" + strings.Join(purposes, "\x00")
	if !shared.Fresh() {
		if !shared.objections.stored(key) { // nothing is claimed, so that the next request tries again
			m.h.metrics.gpcFailures.Inc()
		}
		return
	}
	if m.hasObjected(purposes) {
		return
	}
	stored, mine := shared.objections.claim(key)
	if mine {
		stored = m.storeObjections(r, shared, key, purposes)
	}
	if stored { // from here on the store knows best: whoever consents afterwards has said so
		m.disclosure.Objected = nil
	}
}

// storeObjections stores what the caller objects to, and reports whether that is done.
func (m *message) storeObjections(r *http.Request, shared *consents, key string, purposes []string) bool {
	// Not the request's own context: whoever leaves early still objected.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), gpcPatience)
	defer cancel()
	err := m.recordObjections(ctx, shared, purposes)
	if shared.objections.settle(key, err == nil); err != nil {
		m.h.metrics.gpcFailures.Inc()
	}
	return err == nil
}

// hasObjected reports whether the caller's objections are known to stand.
func (m *message) hasObjected(purposes []string) bool {
	var found [1]*rules.Person
	m.disclosure.People.Find(found[:], [][]byte{[]byte(m.disclosure.Caller.ID)})
	return found[0] != nil && !slices.ContainsFunc(purposes, func(purpose string) bool {
		return !slices.ContainsFunc(found[0].Consents, func(c rules.Consent) bool {
			return c.Purpose == purpose && c.Recipient == "" && !c.Objected.IsZero()
		})
	})
}

// recordObjections stores an objection to each purpose that no Sec-GPC objected to before: whoever lifted one on purpose
// is not overruled by what their browser goes on to send.
func (m *message) recordObjections(ctx context.Context, shared *consents, purposes []string) error {
	caller := m.disclosure.Caller.ID
	found, err := shared.Store().Find(ctx, []string{caller})
	if err != nil {
		return err
	}
	var b consentstore.Batch
	for _, purpose := range purposes {
		recorded := slices.ContainsFunc(found[0].Records, func(r consentstore.Record) bool {
			return r.Purpose == purpose && r.Recipient == "" && !r.GPCAt.IsZero()
		})
		if !recorded {
			b.Entries = append(b.Entries, consentstore.Entry{
				Subject: caller, Purpose: purpose, Event: consentstore.Object, Entity: caller, GPC: true,
			})
		}
	}
	if len(b.Entries) == 0 {
		return nil
	}
	if changed, err := shared.Apply(ctx, b); err != nil || !changed {
		return err
	}
	for _, e := range b.Entries {
		m.h.metrics.gpcRecorded.Inc()
		m.h.metrics.consentChanges.WithLabelValues(string(e.Event)).Inc()
		m.h.app.audit.writeConsent(&consentLine{
			decision: m.id, event: string(e.Event), purpose: e.Purpose, subject: caller, caller: caller, role: m.role(), gpc: true, rules: m.rules,
		})
	}
	return nil
}
