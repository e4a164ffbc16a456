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

// objections are those that are being stored, each by one request.
type objections struct {
	mu    sync.Mutex
	under map[string]bool
}

// claim reports whether nobody is storing these objections yet.
func (o *objections) claim(key string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.under[key] {
		return false
	}
	if o.under == nil {
		o.under = make(map[string]bool)
	}
	o.under[key] = true
	return true
}

func (o *objections) release(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.under, key)
}

// prefersPrivacy reports whether a request carries the signal of https://www.w3.org/TR/gpc/: one field with the value 1.
func prefersPrivacy(r *http.Request) bool {
	values := r.Header["Sec-Gpc"]
	return len(values) == 1 && values[0] == "1"
}

// object takes a Sec-GPC for what it is: an objection of the caller, as a data subject, to the purposes that the rules list;
// towards a recipient, of whose data it is. It is the person's choice, so that report mode records it, too.
func (m *message) object(r *http.Request) {
	if m.denied != nil || !prefersPrivacy(r) {
		return
	}
	objector, purposes := m.objector(), m.rules.enforced.GPC()
	if objector != "" || m.disclosure.Position == rules.Egress {
		m.disclosure.Objected = purposes
	}
	shared := m.h.app.consents
	if shared == nil || objector == "" || len(purposes) == 0 {
		return
	}
	if m.signaled(objector, purposes) || m.storeObjections(r, shared, objector, purposes) {
		// From here on the store knows best: whoever consents afterwards has said so.
		m.disclosure.Objected = nil
	}
}

// objector is who says it; "": nobody knows.
func (m *message) objector() string {
	if m.disclosure.Position == rules.Egress {
		return m.disclosure.Subject
	}
	return m.disclosure.Caller.ID
}

// signaled reports whether the store knows of a Sec-GPC of the objector for each purpose. What it does not know any more,
// because an older copy was put back, is stored again.
func (m *message) signaled(objector string, purposes []string) bool {
	var found [1]*rules.Person
	m.disclosure.People.Find(found[:], [][]byte{[]byte(objector)})
	return found[0] != nil && !slices.ContainsFunc(purposes, func(p string) bool { return !slices.Contains(found[0].Signaled, p) })
}

// storeObjections stores what somebody objects to, and reports whether that is done.
func (m *message) storeObjections(r *http.Request, shared *consents, objector string, purposes []string) bool {
	if !shared.Fresh() { // the next request tries again
		m.h.metrics.gpcFailures.Inc()
		return false
	}
	key := objector + "\x00" + strings.Join(purposes, "\x00")
	if !shared.objections.claim(key) {
		return false
	}
	defer shared.objections.release(key)
	// Not the request's own context: whoever leaves early still objected.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), gpcPatience)
	defer cancel()
	err := m.recordObjections(ctx, shared, objector, purposes)
	if err != nil {
		m.h.metrics.gpcFailures.Inc()
	}
	return err == nil
}

// recordObjections stores an objection to each purpose that no Sec-GPC objected to before: whoever lifted one on purpose
// is not overruled by what their browser goes on to send.
func (m *message) recordObjections(ctx context.Context, shared *consents, objector string, purposes []string) error {
	caller := m.disclosure.Caller.ID
	found, err := shared.Store().Find(ctx, []string{objector})
	if err != nil {
		return err
	}
	var b consentstore.Batch
	var lines []*consentLine
	for _, purpose := range purposes {
		recorded := slices.ContainsFunc(found[0].Records, func(r consentstore.Record) bool {
			return r.Purpose == purpose && r.Recipient == "" && !r.GPCAt.IsZero()
		})
		if !recorded {
			b.Entries = append(b.Entries, consentstore.Entry{
				Subject: objector, Purpose: purpose, Event: consentstore.Object, Entity: caller, GPC: true,
			})
			lines = append(lines, &consentLine{
				decision: m.id, event: string(consentstore.Object), purpose: purpose, subject: objector, caller: caller, role: m.role(), gpc: true, rules: m.rules,
			})
		}
	}
	if len(b.Entries) == 0 {
		return nil
	}
	changed, err := m.h.app.change(ctx, b, lines...)
	if changed && err == nil {
		m.h.metrics.gpcRecorded.Add(float64(len(lines)))
	}
	return err
}
