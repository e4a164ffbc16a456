package consentstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-minimize/minimize/rules"
	clusters "github.com/caddy-minimize/minimize/test/postgres"
)

// faulty is a store whose answers a test holds up or spoils.
type faulty struct {
	Store
	finds   atomic.Int64
	find    atomic.Pointer[func()] // before a Find reads
	found   atomic.Pointer[func()] // after it read
	away    atomic.Bool
	stalled atomic.Bool
	deaf    atomic.Bool // tells nobody what changed
}

func (f *faulty) do(ctx context.Context) error {
	if f.stalled.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if f.away.Load() {
		return ErrAway
	}
	return nil
}

func call(f *atomic.Pointer[func()]) {
	if g := f.Load(); g != nil {
		(*g)()
	}
}

func (f *faulty) Find(ctx context.Context, keys []string) ([]Subject, error) {
	f.finds.Add(1)
	if err := f.do(ctx); err != nil {
		return nil, err
	}
	call(&f.find)
	found, err := f.Store.Find(ctx, keys)
	call(&f.found)
	return found, err
}

func (f *faulty) Changes(ctx context.Context, after int64) ([]Change, int64, time.Time, error) {
	if err := f.do(ctx); err != nil {
		return nil, 0, time.Time{}, err
	}
	if f.deaf.Load() {
		return nil, after, time.Now(), nil
	}
	return f.Store.Changes(ctx, after)
}

func (f *faulty) Seen(ctx context.Context, caller string, subjects []string, most int) ([]int, error) {
	if err := f.do(ctx); err != nil {
		return nil, err
	}
	return f.Store.Seen(ctx, caller, subjects, most)
}

func newFaulty(t testing.TB) *faulty {
	return &faulty{Store: opened(t, SQLite, filepath.Join(t.TempDir(), "consent.db"))}
}

func started(t testing.TB, s Store, o SourceOptions) *Source {
	t.Helper()
	source := NewSource(s, o)
	if err := source.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { source.Close() })
	return source
}

func tell(t testing.TB, s *Source, entries ...Entry) {
	t.Helper()
	if _, err := s.Apply(t.Context(), say(entries...)); err != nil {
		t.Fatal(err)
	}
}

// settle waits until the store was asked once more.
func settle(t testing.TB, s *Source) {
	t.Helper()
	now := time.Now()
	until(t, "the store is asked again", func() bool { return s.beat.Load().asked.After(now) })
}

// ask returns what is known of each: g given, w withdrawn and so on, "-" nothing, "?" that nobody can tell.
func ask(t testing.TB, s *Source, ids ...string) (known []string, found []*rules.Person) {
	t.Helper()
	subjects := make([][]byte, len(ids))
	for i, id := range ids {
		subjects[i] = []byte(id)
	}
	found = make([]*rules.Person, len(ids))
	s.For(t.Context()).Find(found, subjects)
	for _, p := range found {
		known = append(known, standing(p))
	}
	return known, found
}

func standing(p *rules.Person) string {
	switch {
	case p == nil:
		return "?"
	case len(p.Consents) == 0:
		return "-"
	}
	c := p.Consents[0]
	return letters(Record{Given: c.Given, Withdrawn: c.Withdrawn, Objected: c.Objected, Restricted: c.Restricted})
}

// until waits for what takes a moment.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never happened that %s", what)
		}
	}
}

func expect(t testing.TB, s *Source, id, want string) *rules.Person {
	t.Helper()
	known, found := ask(t, s, id)
	if known[0] != want {
		t.Fatalf("got %s of %s, want %s", known[0], id, want)
	}
	return found[0]
}

// TestSourceFinds shows what is found, and that what was found once costs no query more.
func TestSourceFinds(t *testing.T) {
	f := newFaulty(t)
	s := started(t, f, SourceOptions{Stale: 10 * time.Second})
	tell(t, s, gives("p", "ads"), says("q", "ads", Object))
	settle(t, s)
	ids := []string{"p", "nobody", "q", "", "p", "\xff", "x\ny"}
	want := "[g - o ? g ? ?]"
	for range 3 {
		if known, _ := ask(t, s, ids...); fmt.Sprint(known) != want {
			t.Errorf("got %v, want %v", known, want)
		}
	}
	if n := f.finds.Load(); n != 1 {
		t.Errorf("got %d queries, want 1", n)
	}
	ask(t, s, "p", "new", "newer")
	got := s.Stats()
	got.Changes = 0 // as often as the store has told of the two
	if got != (Stats{Hits: 9, Misses: 6, Queries: 2, Cached: 5}) {
		t.Errorf("got %+v", got)
	}
}

// TestSourcePerson shows how a data subject comes to the rules.
func TestSourcePerson(t *testing.T) {
	s := started(t, newFaulty(t), SourceOptions{Stale: 10 * time.Second})
	day := time.Date(2025, 1, 2, 0, 0, 0, 0, time.UTC)
	e := gives("p", "ads")
	e.Recipient, e.GivenBy, e.Categories, e.Policy, e.At, e.Expires = "partner", "guardian", []rules.Category{"device"}, 6, day, day.AddDate(1, 0, 0)
	b := say(e)
	b.Profiles = []Profile{{Subject: "p", Born: "2012-02-29", Minor: true, Ended: day, Guardians: []string{"mum"}, Policy: 5}}
	b.Cases = []Case{{ID: "T-1", Kind: "ticket", Subject: "p", Callers: []string{"clerk"}, Roles: []string{"support"}, Ends: day}}
	if _, err := s.Apply(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	_, found := ask(t, s, "p")
	c := rules.Case{ID: "T-1", Kind: "ticket", Subject: "p", Callers: []string{"clerk"}, Roles: []string{"support"}, Ends: day}
	want := rules.Person{
		Born: time.Date(2012, 2, 29, 0, 0, 0, 0, time.UTC), Minor: true, Ended: true, Guardians: []string{"mum"}, Policy: 6, // of the consent
		Consents: []rules.Consent{{Purpose: "ads", Recipient: "partner", Categories: []rules.Category{"device"}, Level: rules.LevelExplicit,
			ByGuardian: true, Policy: 6, Given: day, Expires: day.AddDate(1, 0, 0)}},
		Cases: []rules.Case{c},
	}
	if got := fmt.Sprintf("%+v", *found[0]); got != fmt.Sprintf("%+v", want) {
		t.Errorf("got  %s\nwant %+v", got, want)
	}
	people := s.For(t.Context())
	if got := people.Case("T-1"); got == nil || fmt.Sprint(*got) != fmt.Sprint(c) {
		t.Errorf("got case %v", got)
	}
	for _, id := range []string{"none", "", "\x01T-1"} {
		if got := people.Case(id); got != nil {
			t.Errorf("%q: got a case", id)
		}
	}
	b.Cases[0].Ends = day.AddDate(1, 0, 0)
	if _, err := s.Apply(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if got := people.Case("T-1"); got == nil || !got.Ends.Equal(b.Cases[0].Ends) || !found[0].Outdated() {
		t.Error("the case's change is not seen, or not told to who knows the data subject")
	}
}

// TestSourcePolicy shows that who agrees under a version of the policy accepts it, for good.
func TestSourcePolicy(t *testing.T) {
	s := started(t, newFaulty(t), SourceOptions{Stale: 10 * time.Second})
	e := gives("p", "ads")
	e.Policy = 6
	tell(t, s, e, says("p", "ads", Withdraw), says("q", "ads", Object))
	b := say()
	b.Profiles = []Profile{{Subject: "q", Policy: 7}}
	if changed, err := s.Apply(t.Context(), b); err != nil || !changed {
		t.Fatal(changed, err)
	}
	if changed, err := s.Apply(t.Context(), b); err != nil || changed {
		t.Errorf("the same once more: changed is %v, %v", changed, err)
	}
	if _, found := ask(t, s, "p", "q", "r"); found[0].Policy != 6 || found[1].Policy != 7 || found[2].Policy != 0 {
		t.Errorf("accepted are %d, %d and %d, want 6, 7 and none", found[0].Policy, found[1].Policy, found[2].Policy)
	}
}

// TestSourceAway shows that a store that does not answer, or not in time, means that nobody can tell, soon and until it is
// back.
func TestSourceAway(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*faulty, bool){
		"errors": func(f *faulty, yes bool) { f.away.Store(yes) },
		"stalls": func(f *faulty, yes bool) { f.stalled.Store(yes) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFaulty(t)
			s := started(t, f, SourceOptions{Stale: 300 * time.Millisecond})
			tell(t, s, gives("p", "ads"))
			settle(t, s)
			person := expect(t, s, "p", "g")
			people := s.For(t.Context())
			write := func() error { return nil }
			if sent, err := people.Send([]*rules.Person{nil, person}, write); !sent || err != nil {
				t.Errorf("got %v, %v, want that it is sent", sent, err)
			}
			fail(f, true)
			if known, _ := ask(t, s, "unknown"); known[0] != "?" {
				t.Errorf("got %s while it cannot be asked", known[0])
			}
			until(t, "it is too old", func() bool { return !s.Fresh() })
			expect(t, s, "p", "?")
			if sent, _ := people.Send([]*rules.Person{person}, write); sent {
				t.Error("it was sent though nobody knows whether it still holds")
			}
			if sent, _ := people.Send([]*rules.Person{nil}, write); !sent {
				t.Error("what needs nobody's consent was held up")
			}
			nth := []int{7}
			if people.Seen(nth, "clerk", [][]byte{[]byte("p")}, 5); nth[0] != 0 {
				t.Errorf("got the %dth", nth[0])
			}
			fail(f, false)
			until(t, "it is back", s.Fresh)
			expect(t, s, "p", "g")
			if sent, _ := people.Send([]*rules.Person{person}, write); sent {
				t.Error("what was known before the store was away still counts")
			}
		})
	}
}

// TestSourceOnce shows that a hundred who ask for the same at the same time are one query.
func TestSourceOnce(t *testing.T) {
	f := newFaulty(t)
	s := started(t, f, SourceOptions{Stale: 10 * time.Second})
	tell(t, s, gives("p", "ads"))
	settle(t, s)
	all := make(chan struct{})
	hold := func() { <-all }
	f.find.Store(&hold)
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if known, _ := ask(t, s, "p", "q"); fmt.Sprint(known) != "[g -]" {
				t.Errorf("got %v", known)
			}
		})
	}
	until(t, "all of them ask", func() bool { return s.Stats().Misses == 200 })
	close(all)
	wg.Wait()
	if n := f.finds.Load(); n != 1 {
		t.Errorf("got %d queries, want 1", n)
	}
}

// TestSourceEcho shows that what this node changed itself outdates nothing that was read since, and what others change does.
func TestSourceEcho(t *testing.T) {
	f := newFaulty(t)
	s := started(t, f, SourceOptions{Stale: 10 * time.Second})
	f.deaf.Store(true)
	settle(t, s)
	tell(t, s, gives("p", "ads"), gives("q", "ads"))
	p, q := expect(t, s, "p", "g"), expect(t, s, "q", "g")
	apply(t, f, say(says("q", "ads", Withdraw)))
	f.deaf.Store(false)
	until(t, "the store tells of the others' change", q.Outdated)
	if p.Outdated() {
		t.Error("its own change outdates what it read after it")
	}
	tell(t, s, says("p", "ads", Withdraw))
	expect(t, s, "p", "gw")
	if len(s.own.changes) > 1 {
		t.Errorf("got %d changes in memory after their echo, want that they are forgotten", len(s.own.changes))
	}
}

// TestSourceChangeDuringLoad shows that what changes between the database's answer and its arrival is not kept.
func TestSourceChangeDuringLoad(t *testing.T) {
	f := newFaulty(t)
	s := started(t, f, SourceOptions{Stale: 10 * time.Second})
	tell(t, s, gives("p", "ads"))
	var once sync.Once
	withdraw := func() { once.Do(func() { tell(t, s, says("p", "ads", Withdraw)) }) }
	f.found.Store(&withdraw)
	expect(t, s, "p", "gw")
	if n := f.finds.Load(); n < 2 {
		t.Errorf("got %d queries, want that it was asked again", n)
	}
}

// TestSourceSend shows that a change is acknowledged only when what was being sent is sent, and that nothing that was known
// before is sent afterwards.
func TestSourceSend(t *testing.T) {
	s := started(t, newFaulty(t), SourceOptions{Stale: 10 * time.Second})
	tell(t, s, gives("p", "ads"))
	settle(t, s)
	person := expect(t, s, "p", "g")
	people := s.For(t.Context())
	begun, finish := make(chan struct{}), make(chan struct{})
	var ended atomic.Bool
	go people.Send([]*rules.Person{person}, func() error {
		close(begun)
		<-finish
		ended.Store(true)
		return nil
	})
	<-begun
	acknowledged := make(chan bool)
	go func() {
		tell(t, s, says("p", "ads", Withdraw))
		acknowledged <- ended.Load()
	}()
	until(t, "it is outdated", person.Outdated)
	if sent, _ := people.Send([]*rules.Person{person}, func() error { return errors.New("written") }); sent {
		t.Error("it was sent after the change")
	}
	close(finish)
	if !<-acknowledged {
		t.Error("the change was acknowledged before the write was done")
	}
	failed := errors.New("the caller is gone")
	if sent, err := people.Send(nil, func() error { return failed }); !sent || err != failed {
		t.Errorf("got %v, %v", sent, err)
	}
	func() {
		defer func() { recover() }()
		people.Send(nil, func() error { panic("abort") })
	}()
	s.writes.mu.Lock()
	defer s.writes.mu.Unlock()
	if len(s.writes.all) != 0 {
		t.Error("a write that panicked is waited for")
	}
}

// TestSourceSlowReader shows that who reads slowly does not hold up a withdrawal for more than a second.
func TestSourceSlowReader(t *testing.T) {
	t.Parallel()
	s := started(t, newFaulty(t), SourceOptions{Stale: 10 * time.Second})
	begun, finish := make(chan struct{}), make(chan struct{})
	defer close(finish)
	person := expect(t, s, "p", "-")
	go s.For(t.Context()).Send([]*rules.Person{nil, person}, func() error { close(begun); <-finish; return nil })
	<-begun
	tell(t, s, gives("other", "ads"))
	if n := len(s.writes.outdated()); n != 0 {
		t.Errorf("a change of somebody else waits for %d writes", n)
	}
	tell(t, s, gives("p", "ads")) // returns
	if n := len(s.writes.outdated()); n != 1 {
		t.Errorf("a change waits for %d writes, want the one", n)
	}
	expect(t, s, "p", "g")
}

// TestSourceUnknownOutcome shows that a change whose answer was lost is not overlooked.
func TestSourceUnknownOutcome(t *testing.T) {
	f := newFaulty(t)
	f.deaf.Store(true)
	s := started(t, lossy{f}, SourceOptions{Stale: 10 * time.Second})
	apply(t, f, say(gives("p", "ads")))
	expect(t, s, "p", "g")
	if _, err := s.Apply(t.Context(), say(says("p", "ads", Withdraw))); err == nil {
		t.Error("no error")
	}
	expect(t, s, "p", "gw")
}

type lossy struct{ *faulty }

func (l lossy) Apply(ctx context.Context, b Batch) ([]Change, error) {
	l.faulty.Apply(ctx, b)
	return nil, ErrAway
}

// TestSourceClock shows that time never goes back, whatever clocks do, and that a jump ahead ends what is cached.
func TestSourceClock(t *testing.T) {
	var offset atomic.Int64
	f := newFaulty(t)
	s := started(t, f, SourceOptions{Stale: time.Minute, now: func() time.Time { return time.Now().Round(0).Add(time.Duration(offset.Load())) }})
	tell(t, s, gives("p", "ads"))
	expect(t, s, "p", "g")
	begin := time.Now()
	if age := s.Age(); age < 0 || age > time.Minute {
		t.Errorf("what it just answered is %v old", age)
	}
	if d := s.Now().Sub(begin); d < 0 || d > time.Minute {
		t.Errorf("it is %v late", d)
	}
	offset.Store(int64(-time.Hour))
	if s.Now().Before(begin) {
		t.Error("time went back with the clock")
	}
	if !s.Fresh() {
		t.Error("a clock that is set back ends what is cached")
	}
	f.away.Store(true)
	until(t, "the store is missed", func() bool { return s.Stats().Failures > 0 })
	offset.Store(int64(time.Hour))
	if s.Fresh() {
		t.Error("what was cached before the machine slept for an hour still counts")
	}
	if age := s.Age(); age < time.Hour {
		t.Errorf("after an hour its answer is %v old", age)
	}
	ahead := s.Now()
	if ahead.Sub(begin) < time.Hour {
		t.Error("the clock's time does not count")
	}
	offset.Store(0)
	if s.Now().Before(ahead) {
		t.Error("time went back")
	}
	f.away.Store(false)
	until(t, "it counts again", s.Fresh)
}

// TestSourceGap shows that a node that is too far behind forgets all it knows.
func TestSourceGap(t *testing.T) {
	f := newFaulty(t)
	s := started(t, f, SourceOptions{Stale: 10 * time.Second})
	tell(t, s, gives("p", "ads"))
	f.deaf.Store(true)
	expect(t, s, "p", "g")
	apply(t, f, say(says("p", "ads", Withdraw)))
	exec(t, f.Store, "DELETE FROM minimize_changes")
	f.deaf.Store(false)
	until(t, "it asks again", func() bool { known, _ := ask(t, s, "p"); return known[0] == "gw" })
}

// TestSourceUnreadable shows that a row that nobody can read is nobody's consent, and no lack of an objection either.
func TestSourceUnreadable(t *testing.T) {
	f := newFaulty(t)
	s := started(t, f, SourceOptions{Stale: 10 * time.Second})
	tell(t, s, gives("p", "ads"), gives("q", "ads"))
	exec(t, f.Store, `UPDATE minimize_records SET state = '{"given": "SECRET"}' WHERE subject = 'p'`)
	expect(t, s, "q", "g")
	expect(t, s, "p", "?")
	if _, err := f.Find(t.Context(), []string{"p"}); err == nil || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("got %v, want an error without the value", err)
	}
}

// TestSourceSmall shows that a cache that is too small costs queries and nothing else.
func TestSourceSmall(t *testing.T) {
	s := started(t, newFaulty(t), SourceOptions{Stale: 10 * time.Second, CacheSize: 64})
	var ids []string
	var b Batch
	for i := range 400 {
		ids = append(ids, fmt.Sprint("p", i))
		b.Entries = append(b.Entries, gives(ids[i], "ads"))
	}
	if _, err := s.Apply(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		known, _ := ask(t, s, ids...)
		for i, k := range known {
			if k != "g" {
				t.Fatalf("%d: got %s", i, k)
			}
		}
	}
	_, found := ask(t, s, ids...)
	for i := range 400 {
		ask(t, s, fmt.Sprint("q", i))
	}
	for i, p := range found {
		if cached := s.cache.get([]byte(ids[i])); cached == nil && !p.Outdated() {
			t.Errorf("%d left the cache, and nobody would tell who knows it that it changed", i)
		}
	}
	if cached := s.Stats().Cached; cached > 200 { // some shards may not have been used since
		t.Errorf("got %d in a cache of 64", cached)
	}
}

// TestSourceOtherProcess shows that a change made elsewhere is seen within 100 ms, in a fleet and on one machine. Because a
// machine may be busy, half of them count. Nobody would ask by itself before ten seconds are over.
func TestSourceOtherProcess(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(testing.TB) Store) {
		o := SourceOptions{Stale: 40 * time.Second}
		a, b := started(t, open(t), o), started(t, open(t), o)
		var took []time.Duration
		for range 21 {
			tell(t, a, gives("p", "ads"))
			until(t, "the other node knows the consent", func() bool { known, _ := ask(t, b, "p"); return known[0] == "g" })
			person := expect(t, b, "p", "g")
			tell(t, a, says("p", "ads", Withdraw))
			acknowledged := time.Now()
			expect(t, a, "p", "gw")
			until(t, "the other node knows the withdrawal", person.Outdated)
			took = append(took, time.Since(acknowledged))
			expect(t, b, "p", "gw")
		}
		slices.Sort(took)
		if took[10] > 100*time.Millisecond || took[20] > 5*time.Second {
			t.Errorf("a change is seen after %v, the last after %v", took[10], took[20])
		}
		ids := [][]byte{[]byte("1"), []byte("2"), []byte("\xff"), []byte("3"), []byte("4")}
		shown := 0
		for i, s := range []*Source{a, b, a, b} {
			nth := make([]int, 5)
			until(t, "the store counts", func() bool { // on a busy machine it may take longer than an answer waits
				s.For(t.Context()).Seen(nth, "clerk", ids, 3)
				return nth[0] != 0
			})
			if nth[2] != 0 {
				t.Errorf("an id that cannot be counted is the %dth", nth[2])
			}
			if fmt.Sprint(nth) != "[1 2 0 3 4]" {
				t.Errorf("%d: got %v", i, nth)
			}
			shown += nth[4]
		}
		if shown != 16 {
			t.Errorf("the fourth of three is counted: %d", shown)
		}
	})
}

// TestSourceKill shows that a gateway starts without PostgreSQL, finds it, and finds it again after each kill within two
// seconds, and that nothing that was acknowledged is lost.
func TestSourceKill(t *testing.T) {
	t.Parallel()
	c := clusters.Start(t)
	dsn := c.NewDatabase(t)
	c.Kill()
	store, err := Open(Postgres, dsn)
	if err != nil {
		t.Fatal(err)
	}
	s := started(t, store, SourceOptions{})
	expect(t, s, "p", "?")
	if _, err := s.Apply(t.Context(), say(gives("p", "ads"))); !errors.Is(err, ErrAway) {
		t.Errorf("got %v, want that it is away", err)
	}
	var acknowledged []string
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			id := fmt.Sprint("q", i)
			if _, err := s.Apply(ctx, say(gives(id, "ads"))); err == nil {
				acknowledged = append(acknowledged, id)
			}
		}
	})
	for i := range 4 {
		c.Restart()
		back(t, s)
		want := []string{"g", "gw"}[i%2]
		tell(t, s, says("p", "ads", Withdraw), gives("p", "ads"))
		if i%2 == 1 {
			tell(t, s, says("p", "ads", Withdraw))
		}
		expect(t, s, "p", want)
		c.Kill()
		until(t, "it is missed", func() bool { return !s.Fresh() })
		expect(t, s, "p", "?")
	}
	cancel()
	wg.Wait()
	c.Restart()
	back(t, s)
	expect(t, s, "p", "gw")
	if len(acknowledged) == 0 {
		t.Error("nothing was acknowledged between the kills")
	}
	known, _ := ask(t, s, acknowledged...)
	for i, k := range known {
		if k != "g" {
			t.Errorf("the change %d was acknowledged and is lost", i)
		}
	}
}

// back waits until the store is found again and answers.
func back(t *testing.T, s *Source) {
	t.Helper()
	until(t, "the store is found", func() bool {
		known, _ := ask(t, s, "p", fmt.Sprint("another", time.Now()))
		return known[0] != "?" && known[1] == "-"
	})
}

// TestSourceStall shows that a network that swallows everything is waited for no longer than `stale`, and that the store is
// found again: what pgx cleans up meanwhile holds up nobody.
func TestSourceStall(t *testing.T) {
	t.Parallel()
	c := clusters.Start(t)
	hole := newHole(t, c.Port())
	dsn := strings.Replace(c.DSN(), fmt.Sprint(":", c.Port()), fmt.Sprint(":", hole.port), 1)
	s := started(t, opened(t, Postgres, dsn), SourceOptions{})
	tell(t, s, gives("p", "ads"))
	for range 3 {
		hole.stall(true)
		var wg sync.WaitGroup
		for i := range 40 { // more than there are connections
			wg.Go(func() {
				began := time.Now()
				ask(t, s, fmt.Sprint("new", i))
				if d := time.Since(began); d > 3*time.Second {
					t.Errorf("it took %v to say that nobody can tell", d)
				}
			})
		}
		wg.Wait()
		until(t, "it is missed", func() bool { return !s.Fresh() })
		expect(t, s, "p", "?")
		time.Sleep(3 * time.Second) // so that it was tried again, and what is cleaned up piles up
		hole.stall(false)
		back(t, s)
		expect(t, s, "p", "g")
		tell(t, s, gives("p", "mail"), says("p", "mail", Withdraw))
	}
}

// hole is a network that sometimes takes everything and gives nothing.
type hole struct {
	port    int
	mu      sync.Mutex
	cond    *sync.Cond
	stalled bool
}

func newHole(t testing.TB, to int) *hole {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	h := &hole{port: l.Addr().(*net.TCPAddr).Port}
	h.cond = sync.NewCond(&h.mu)
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", to))
			if err != nil {
				client.Close()
				continue
			}
			go h.copy(server, client)
			go h.copy(client, server)
		}
	}()
	return h
}

func (h *hole) copy(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		h.mu.Lock()
		for h.stalled {
			h.cond.Wait()
		}
		h.mu.Unlock()
		if _, failed := to.Write(buf[:n]); err != nil || failed != nil {
			return
		}
	}
}

func (h *hole) stall(yes bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stalled = yes
	h.cond.Broadcast()
}

// TestSourceStart shows which failure is one of the configuration.
func TestSourceStart(t *testing.T) {
	store, err := Open(SQLite, filepath.Join(t.TempDir(), "none", "consent.db"))
	if err != nil {
		t.Fatal(err)
	}
	s := NewSource(store, SourceOptions{})
	if s.Start() == nil {
		t.Error("a file that cannot be opened is no error")
	}
	if s.Fresh() {
		t.Error("what never started is fresh")
	}
	s.Close()
}

// TestClockSleep shows that the wall clock is asked for itself: a real time has a monotonic reading, too, and the distance of
// two of them is that of the monotonic ones, which stand still while a machine sleeps.
func TestClockSleep(t *testing.T) {
	c := newClock(time.Now)
	if wall := c.wall(); wall != wall.Round(0) {
		t.Error("the wall clock's time has a monotonic reading")
	}
}

// TestClockOfTheStore shows that it is never earlier than in a database whose clock is ahead, however long its answer took.
func TestClockOfTheStore(t *testing.T) {
	c := newClock(time.Now)
	asked := time.Now()
	said := asked.Add(time.Hour) // at once
	time.Sleep(20 * time.Millisecond)
	c.set(said, asked)
	if now := c.time(); now.Before(said.Add(20 * time.Millisecond)) {
		t.Errorf("it is %v, want later than %v", now, said)
	}
}
