//go:build linux

package test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/caddy-minimize/minimize/test/postgres"
)

// fleetRules let support see a buyer's phone with the buyer's consent, and masked without.
const fleetRules = `minimize: 1
operations: [GET /api/**]
roles: [support, dpo]
purposes: [after_sales]
values: []
records:
  - {at: /orders/*, subject: /buyer}
fields:
  - {at: /orders/*/phone, is: contact.phone}
allow:
  - {id: with-consent, to: support, for: after_sales, consent: explicit, keep: [contact.phone]}
  - {id: without, to: support, for: after_sales, mask: [contact.phone]}
`

const (
	changing = 100 // data subjects that give their consent and withdraw it
	faithful = 10  // that gave it once
	silent   = 10  // that never did
	everyone = changing + faithful + silent
	pageSize = 12
	windows  = 5 // in which the body of all leaves

	patience = 10 * time.Second // a request that takes longer hangs; nothing waits for the store as long
)

func buyer(subject int) string { return fmt.Sprintf("buyer-%03d", subject) }

// phoneOf is a number that only one data subject has.
func phoneOf(subject int) string { return fmt.Sprintf("1380%07d", subject*7919) }

// fleet is some gateways on one store in front of one backend, and what was done to them.
type fleet struct {
	t        *testing.T
	driver   string
	database string // to look into it, past everything that stands between the gateways and it
	nodes    []*process
	support  string
	tokens   []string // of the data subjects, for themselves
	history  *history
	pages    []page

	mu      sync.Mutex
	failed  map[string]int // what answers were none, by what they were
	unknown int            // changes that nobody acknowledged
	hasty   int            // of them, those that were given up before storePatience
	slowest time.Duration  // that a change took
}

// page is a path of the backend, with the data subjects in its body.
type page struct {
	path     string
	subjects []int
	streamed bool // longer than what the gateway holds
}

// startFleet runs one gateway per store.
func startFleet(t *testing.T, driver, database string, stores ...string) *fleet {
	t.Helper()
	id := newIssuer(t)
	f := &fleet{t: t, driver: driver, database: database, history: newHistory(), failed: map[string]int{}}
	f.support = id.token(t, map[string]any{"sub": "support-1", "role": "support", "purpose": "after_sales"})
	for subject := range everyone {
		f.tokens = append(f.tokens, id.token(t, map[string]any{"sub": buyer(subject)}))
	}
	backend := startBackend(t, f.fill())
	for _, store := range stores {
		f.nodes = append(f.nodes, startGateway(t, site{store: store, rules: fleetRules, backend: backend, key: id.public, more: "hold 64KiB"}))
	}
	return f
}

// fill makes the backend's bodies: pages of some data subjects, each alone, and all in a body that no gateway holds whole.
func (f *fleet) fill() map[string][]byte {
	bodies := map[string][]byte{}
	add := func(path string, padding int, subjects ...int) {
		bodies[path] = ordersOf(padding, subjects...)
		f.pages = append(f.pages, page{path, subjects, padding > 0})
	}
	mixed := rand.New(rand.NewPCG(1, 1)).Perm(everyone)
	for i := 0; i < everyone; i += pageSize {
		add(fmt.Sprintf("/api/page/%d", i/pageSize), 0, mixed[i:i+pageSize]...)
	}
	for subject := range everyone {
		add("/api/order/"+buyer(subject), 0, subject)
	}
	add("/api/all", 2000, mixed...)
	return bodies
}

// ordersOf makes a list with one order of each; padding makes every order so much longer.
func ordersOf(padding int, subjects ...int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"orders":[`)
	for i, subject := range subjects {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"buyer":%q,"phone":%q,"lines":%q}`, buyer(subject), phoneOf(subject), strings.Repeat("x", padding))
	}
	b.WriteString("]}")
	return b.Bytes()
}

// shownIn returns whose phones stand in a text, wherever.
func shownIn(text []byte, subjects []int) (shown []int) {
	for _, subject := range subjects {
		if bytes.Contains(text, []byte(phoneOf(subject))) {
			shown = append(shown, subject)
		}
	}
	return shown
}

// read asks a node for a page and keeps what it showed. It reports whether there was an answer.
func (f *fleet) read(s *speaker, node int, p page) bool {
	s.limit = patience
	x, err := s.ask(http.MethodGet, p.path, f.support, "", nil)
	if err != nil || x.status != http.StatusOK {
		f.fail(node, p.path, &x, err)
		return false
	}
	if !json.Valid(x.body) {
		f.t.Errorf("node %d: %s is no JSON", node, p.path)
	}
	r := reading{node: node, started: x.started, first: x.first, asked: p.subjects, shown: shownIn(x.body, p.subjects)}
	if p.streamed {
		r.last = x.ended
	}
	f.history.read(r)
	return true
}

// fail notes what was no answer. A body that was cut off is judged like a whole one.
func (f *fleet) fail(node int, path string, x *exchange, err error) {
	text := fmt.Sprintf("status %d", x.status)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		f.t.Errorf("node %d did not answer %s within %v; %d bytes came", node, path, x.ended.Sub(x.started), len(x.body))
	case err != nil:
		text = "no answer" // which errors a kill makes differs
	}
	f.mu.Lock()
	f.failed[text]++
	f.mu.Unlock()
	if shown := shownIn(x.body, f.pages[len(f.pages)-1].subjects); len(shown) > 0 {
		f.history.read(reading{node: node, started: x.started, first: x.first, last: x.ended, asked: shown, shown: shown})
	}
}

// storePatience is how long a gateway waits for its store before it answers that a change may not be stored.
const storePatience = 5 * time.Second

// change gives or withdraws a consent through a node, as the data subject, and reports whether it was acknowledged.
func (f *fleet) change(s *speaker, node, subject int, give bool) bool {
	method, body := http.MethodDelete, ""
	if give {
		method, body = http.MethodPut, `{"event_type":"explicit"}`
	}
	x, err := s.ask(method, "/consent/subjects/me/consents/after_sales", f.tokens[subject], body, nil)
	if !x.sent {
		return false
	}
	c := change{give: give, node: node, started: x.started, ended: x.ended}
	switch {
	case err == nil && x.status == http.StatusNoContent:
		c.acked, c.ended = true, x.first
	case err == nil && x.status != http.StatusServiceUnavailable:
		f.t.Errorf("changing a consent: status %d, %s", x.status, x.body)
	}
	f.history.changed(subject, c)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.slowest = max(f.slowest, x.ended.Sub(x.started))
	if !c.acked {
		f.unknown++
		if x.ended.Sub(x.started) < storePatience {
			f.hasty++
		}
	}
	return c.acked
}

// load reads and changes on all nodes until the context ends: readers per node, and every data subject for itself.
func (f *fleet) load(ctx context.Context, readers int) (wait func()) {
	var group sync.WaitGroup
	for node := range f.nodes {
		for i := range readers {
			group.Go(func() { f.reader(ctx, node, i) })
		}
	}
	for subject := range changing {
		group.Go(func() { f.changer(ctx, subject) })
	}
	return group.Wait
}

// reader reads pages of all kinds; every second one hangs up after each, so that connections are fresh.
func (f *fleet) reader(ctx context.Context, node, i int) {
	s := &speaker{address: f.nodes[node].address, limit: patience}
	defer s.hangUp()
	for ctx.Err() == nil {
		if !f.read(s, node, f.pages[rand.IntN(len(f.pages))]) || i%2 == 1 {
			s.hangUp()
		}
		if rand.IntN(20) == 0 {
			f.read(s, node, f.pages[len(f.pages)-1])
		}
		time.Sleep(time.Duration(5+rand.IntN(20)) * time.Millisecond)
	}
}

// changer gives and withdraws one consent again and again, through any node, and looks at once what became of it.
func (f *fleet) changer(ctx context.Context, subject int) {
	var speakers []*speaker
	for _, node := range f.nodes {
		s := &speaker{address: node.address, limit: 10 * time.Second}
		defer s.hangUp()
		speakers = append(speakers, s)
	}
	own := page{"/api/order/" + buyer(subject), []int{subject}, false}
	pause(ctx, 2000)
	for give := true; ctx.Err() == nil; {
		node := rand.IntN(len(f.nodes))
		if f.change(speakers[node], node, subject, give) {
			f.read(speakers[node], node, own)
			give = !give
		}
		pause(ctx, 1800)
	}
}

// pause waits up to so many milliseconds.
func pause(ctx context.Context, most int) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(100+rand.IntN(most)) * time.Millisecond):
	}
}

// pledge has the faithful give their consents.
func (f *fleet) pledge() {
	s := &speaker{address: f.nodes[0].address, limit: 10 * time.Second}
	defer s.hangUp()
	for subject := changing; subject < changing+faithful; subject++ {
		if !f.change(s, 0, subject, true) {
			f.t.Fatal("a consent was not acknowledged")
		}
	}
}

// unfit is what no log may hold: a data subject's id, a phone, a panic.
var unfit = regexp.MustCompile(`.*(buyer-|1380\d{7}|panic).*`)

// judge checks the history, and what the gateways logged.
func (f *fleet) judge(withdrawals int) result {
	f.t.Helper()
	res := f.history.check()
	for i, leak := range res.leaks {
		if i == 5 {
			f.t.Errorf("and %d more", len(res.leaks)-i)
			break
		}
		f.t.Error(leak)
	}
	for _, node := range f.nodes {
		if found := unfit.FindString(node.log()); found != "" {
			f.t.Errorf("the log of %s names a data subject or a value, or has a panic: %s", node.address, found)
		}
	}
	if res.withdrawals < withdrawals {
		f.t.Errorf("%d withdrawals were acknowledged, want at least %d", res.withdrawals, withdrawals)
	}
	f.t.Logf("%d withdrawals, %d changes without an answer, %d readings; a value was shown at most %v after its withdrawal; %d of %d consented values were shown; no answers: %v; the slowest change took %v",
		res.withdrawals, f.unknown, len(f.history.readings), res.latest, res.paid, res.owed, f.failed, f.slowest)
	return res
}

// entry is one row of the database's own history.
type entry struct {
	event string
	at    time.Time
}

// entries reads the history of every data subject from the database itself.
func (f *fleet) entries() map[string][]entry {
	f.t.Helper()
	db, err := sql.Open(f.driver, f.database)
	if err != nil {
		f.t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT subject, entry->>'event_state', entry->>'event_time' FROM minimize_history ORDER BY subject, seq, n`)
	if err != nil {
		f.t.Fatal(err)
	}
	defer rows.Close()
	entries := map[string][]entry{}
	for rows.Next() {
		var subject, at string
		var e entry
		if err := rows.Scan(&subject, &e.event, &at); err != nil {
			f.t.Fatal(err)
		}
		if e.at, err = time.Parse(time.RFC3339, at); err != nil {
			f.t.Fatal(err)
		}
		entries[subject] = append(entries[subject], e)
	}
	if rows.Err() != nil {
		f.t.Fatal(rows.Err())
	}
	return entries
}

// stored wants every acknowledged change to stand in the database: as an entry from the time between request and
// acknowledgement, or, where it said nothing new, as the newest one from before.
func (f *fleet) stored() {
	f.t.Helper()
	entries := f.entries()
	checked := 0
	for subject, changes := range f.history.changes {
		for _, c := range changes {
			if !c.acked {
				continue
			}
			want := map[bool]string{true: "given", false: "withdrawn"}[c.give]
			newest, found := "nothing", false
			for _, e := range entries[buyer(subject)] {
				if e.at.Before(c.started.Truncate(time.Microsecond)) {
					newest = e.event
				} else if e.event == want && !e.at.After(c.ended) {
					found = true
				}
			}
			if !found && newest != want {
				f.t.Errorf("data subject %d: an acknowledged change (%s) is lost: before it was %s", subject, want, newest)
			}
			checked++
		}
	}
	if checked == 0 {
		f.t.Error("no acknowledged change could be checked")
	}
	f.t.Logf("%d acknowledged changes are in the database", checked)
}

// TestWithdrawalsActOnEveryNode has three gateways on one PostgreSQL answer while 100 data subjects give and withdraw
// their consents. MINIMIZE_LONG=1 makes it ten times as long.
func TestWithdrawalsActOnEveryNode(t *testing.T) {
	cluster := postgres.Start(t)
	dsn := cluster.NewDatabase(t)
	f := startFleet(t, "pgx", dsn, "postgres "+dsn, "postgres "+dsn, "postgres "+dsn)
	f.pledge()
	withdrawals := 1000 * long()
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(long())*90*time.Second)
	defer cancel()
	wait := f.load(ctx, 3)
	for ctx.Err() == nil && f.acknowledged() < withdrawals {
		time.Sleep(100 * time.Millisecond)
	}
	cancel()
	wait()
	res := f.judge(withdrawals)
	if res.owed == 0 || float64(res.paid) < 0.95*float64(res.owed) {
		t.Errorf("%d of %d values were shown that a consent allows: nothing is proven by those that were not", res.paid, res.owed)
	}
	if len(f.failed) > 0 || f.hasty > 0 { // a machine with other work may keep a disk waiting that long
		t.Errorf("nothing was broken, and yet: %v, and %d changes failed", f.failed, f.hasty)
	}
	f.stored()
}

// acknowledged is how many withdrawals were.
func (f *fleet) acknowledged() (n int) {
	f.history.mu.Lock()
	defer f.history.mu.Unlock()
	for _, changes := range f.history.changes {
		for _, c := range changes {
			if !c.give && c.acked {
				n++
			}
		}
	}
	return n
}

// TestWithdrawalInsideABody withdraws a consent while a body with many orders of one buyer is on its way: the windows that
// leave after the acknowledgement show nothing, on the node that took it.
func TestWithdrawalInsideABody(t *testing.T) {
	const orders = 60
	one := bytes.TrimSuffix(bytes.TrimPrefix(ordersOf(20_000, 0), []byte(`{"orders":[`)), []byte("]}"))
	var halfway, withdrawn chan struct{}
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"orders":[`)
		for i := range orders {
			if i > 0 {
				fmt.Fprint(w, ",")
			}
			w.Write(one)
			if i == orders/2 {
				_ = http.NewResponseController(w).Flush()
				close(halfway)
				<-withdrawn
			}
		}
		fmt.Fprint(w, "]}")
	}))
	defer backend.Close()
	for _, store := range []string{"sqlite", "postgres"} {
		t.Run(store, func(t *testing.T) {
			halfway, withdrawn = make(chan struct{}), make(chan struct{})
			dsn := "consent.db"
			if store == "postgres" {
				cluster := postgres.Start(t)
				dsn = cluster.NewDatabase(t)
			}
			id := newIssuer(t)
			g := startGateway(t, site{store: store + " " + dsn, rules: fleetRules, backend: backend.URL, key: id.public, more: "hold 64KiB"})
			support := id.token(t, map[string]any{"sub": "support-1", "role": "support", "purpose": "after_sales"})
			self := id.token(t, map[string]any{"sub": buyer(0)})
			changes := &speaker{address: g.address, limit: 10 * time.Second}
			defer changes.hangUp()
			if x, err := changes.ask(http.MethodPut, "/consent/subjects/me/consents/after_sales", self, `{"event_type":"explicit"}`, nil); err != nil || x.status != 204 {
				t.Fatalf("giving a consent: %v, status %d, %s", err, x.status, x.body)
			}
			var acked atomic.Pointer[time.Time]
			var received atomic.Int64
			before, after := 0, 0
			var group sync.WaitGroup
			group.Go(func() {
				defer close(withdrawn)
				select {
				case <-halfway:
				case <-time.After(10 * time.Second):
					t.Error("the backend was not asked")
				}
				// What left before has to be read before: the kernel gives bytes that wait together one time.
				for n := int64(-1); n != received.Load(); time.Sleep(300 * time.Millisecond) {
					n = received.Load()
				}
				y, err := changes.ask(http.MethodDelete, "/consent/subjects/me/consents/after_sales", self, "", nil)
				if err != nil || y.status != 204 {
					t.Errorf("withdrawing a consent: %v, status %d, %s", err, y.status, y.body)
				}
				acked.Store(&y.first)
			})
			reader := &speaker{address: g.address, limit: 20 * time.Second}
			defer reader.hangUp()
			x, err := reader.ask(http.MethodGet, "/api/orders", support, "", func(part []byte, arrived time.Time) {
				shown := bytes.Count(part, []byte(phoneOf(0)))
				if at := acked.Load(); at == nil || !arrived.After(*at) {
					before += shown
				} else {
					after += shown
				}
				received.Add(int64(len(part)))
			})
			group.Wait()
			if err != nil || x.status != 200 || !json.Valid(x.body) {
				t.Fatalf("%v, status %d, %d bytes", err, x.status, len(x.body))
			}
			masked := orders - bytes.Count(x.body, []byte(phoneOf(0)))
			if before == 0 || after != 0 || masked < orders/3 {
				t.Errorf("%d values were shown before the withdrawal, %d after, and %d of %d were masked", before, after, masked, orders)
			}
		})
	}
}
