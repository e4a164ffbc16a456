package consentstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-minimize/minimize/rules"
)

// SourceOptions are how a gateway uses a store. What is zero has the default.
type SourceOptions struct {
	Stale     time.Duration // how long consents count that the store did not confirm; default 1s
	CacheSize int           // data subjects in memory; default 100,000
	Logger    *zap.Logger

	now func() time.Time // the wall clock, which may jump
}

// Source is what a gateway asks for consents: a Store behind a cache that is never older than SourceOptions.Stale.
//
// It asks the store all the time what changed. An answer proves that what is cached held when the question was asked, so
// it counts from then on, by the monotonic clock, for as long as `stale`. Without one nobody can tell anything.
type Source struct {
	store   Store
	marking sync.Mutex // guards mark, and that no other one is stored
	mark    mark
	opened  atomic.Bool // and it is the store that was here before
	made    time.Time
	stale   time.Duration
	logger  *zap.Logger
	cache   *cache
	writes  underway
	own     own
	clock   *clock
	beat    atomic.Pointer[heartbeat] // the last good answer; nil: none yet

	stop context.CancelFunc
	done chan struct{}

	hits, misses, queries, changes, failures atomic.Uint64

	told atomic.Pointer[string] // the last failure that was logged
}

// heartbeat is an answer of the store to the question what changed.
type heartbeat struct {
	asked time.Time // with the monotonic clock
	wall  time.Time // without it
}

// NewSource makes a Source. It asks the store nothing before Start.
func NewSource(store Store, o SourceOptions) *Source {
	if o.Stale <= 0 {
		o.Stale = time.Second
	}
	if o.CacheSize <= 0 {
		o.CacheSize = 100_000
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.now == nil {
		o.now = time.Now
	}
	return &Source{store: store, made: o.now(), stale: o.Stale, logger: o.Logger, cache: newCache(o.CacheSize), clock: newClock(o.now)}
}

// Start opens the store and begins to follow its changes. A store that is away is tried again in the background; any
// other error is returned.
func (s *Source) Start() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := s.open(ctx)
	if err != nil && !errors.Is(err, ErrAway) {
		return err
	}
	s.failed(ctx, err, true)
	ctx, s.stop = context.WithCancel(context.Background())
	s.done = make(chan struct{})
	seq := int64(unknown)
	if err == nil {
		seq = s.ask(ctx, seq)
	}
	go s.follow(ctx, seq)
	return nil
}

// Remember says which storage remembers from now on which store was here, so that no other one is taken for it, and as whose: several
// nodes with stores of their own may share a storage. Before Start it asks nothing.
func (s *Source) Remember(storage certmagic.Storage, node string) error {
	s.marking.Lock()
	defer s.marking.Unlock()
	next := newMark(storage, node, s.store.Place())
	if s.opened.Load() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err := next.compare(ctx, s.store.ID())
		if err != nil && !errors.Is(err, ErrAway) {
			return err
		}
		if err != nil {
			s.logger.Warn("a restart could take another consent store for this one: reload the configuration when Caddy's storage is back", zap.Error(err))
		}
	}
	s.mark = next
	return nil
}

// open opens the store, if it is the one that was here before.
func (s *Source) open(ctx context.Context) error {
	s.marking.Lock()
	defer s.marking.Unlock()
	err := s.mark.migrate(ctx, s.store)
	s.opened.Store(err == nil)
	return err
}

// Close ends it and closes the store. From then on nobody can tell anything.
func (s *Source) Close() error {
	if s.stop != nil {
		s.stop()
		<-s.done
	}
	s.beat.Store(nil)
	return s.store.Close()
}

// Store is the store behind it, for what needs no cache.
func (s *Source) Store() Store { return s.store }

// Stats are counts since the start, and how many data subjects are cached now.
type Stats struct {
	Hits, Misses uint64 // data subjects looked up in the cache that were there, or not
	Queries      uint64 // for those that were not
	Changes      uint64 // that the store told of
	Failures     uint64 // of the store to answer
	Cached       int
}

// Stats counts.
func (s *Source) Stats() Stats {
	return Stats{s.hits.Load(), s.misses.Load(), s.queries.Load(), s.changes.Load(), s.failures.Load(), s.cache.len()}
}

// Now is the time to judge by: the store's, and never earlier than it was before, because a clock that is set back must not
// revive what had expired.
func (s *Source) Now() time.Time { return s.clock.time() }

// Fresh reports whether what is cached counts: a little shorter than `stale`, because what is found fresh still has to be
// written. By the wall clock, too: the monotonic one stands still while a machine sleeps.
func (s *Source) Fresh() bool {
	b, most := s.beat.Load(), s.stale-s.stale/10
	return b != nil && time.Since(b.asked) < most && s.clock.wall().Sub(b.wall) < most
}

// Age is how long ago the store was asked what it last answered. Before its first answer it is that of the Source.
func (s *Source) Age() time.Duration {
	b := s.beat.Load()
	if b == nil {
		return s.clock.wall().Sub(s.made)
	}
	return max(time.Since(b.asked), s.clock.wall().Sub(b.wall))
}

// follow asks the store what changed until it is stopped.
func (s *Source) follow(ctx context.Context, seq int64) {
	defer close(s.done)
	for ctx.Err() == nil {
		if s.opened.Load() || s.migrate(ctx) {
			seq = s.ask(ctx, seq)
		}
		// A store that is away fails at once, or after a while.
		if seq == unknown || s.store.Wait(ctx, s.stale/4) != nil {
			pause(ctx, s.stale/4)
		}
	}
}

func (s *Source) migrate(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err := s.open(ctx)
	s.failed(ctx, err, false)
	return err == nil
}

// unknown is the Seq of a node that does not know what changed: nothing in its cache counts.
const unknown = -1

// ask asks what changed after a Seq, and returns the newest one.
func (s *Source) ask(ctx context.Context, after int64) int64 {
	ctx, cancel := context.WithTimeout(ctx, min(s.stale, time.Second))
	defer cancel()
	asked, wall := time.Now(), s.clock.wall()
	from := after
	if after == unknown {
		from = math.MaxInt64 // nothing but the newest Seq
	}
	changes, seq, now, err := s.store.Changes(ctx, from)
	if err != nil && !errors.Is(err, ErrGap) {
		s.failed(ctx, err, after != unknown)
		return unknown
	}
	// So it is too where the store was away: another one may stand in for it, which lost the last transactions and gives
	// their Seqs again.
	if err != nil {
		s.own.forget()
		s.cache.forget()
	}
	for _, c := range s.own.others(changes, seq) {
		s.cache.invalidate(c.Key)
	}
	s.changes.Add(uint64(len(changes)))
	s.clock.set(now, asked)
	s.beat.Store(&heartbeat{asked, wall})
	if after == unknown && s.failures.Load() > 0 {
		s.told.Store(nil)
		s.logger.Info("the consent store answers again")
	}
	return seq
}

// failed counts a failure. Of a store that is away it logs the first of several, and the first of all; any other kind, which will not pass by
// itself, whenever it is not the one that it logged last. To be stopped is none.
func (s *Source) failed(ctx context.Context, err error, first bool) {
	if err == nil || errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	s.failures.Add(1)
	text := err.Error()
	if last := s.told.Load(); first || last == nil || !errors.Is(err, ErrAway) && (last == nil || *last != text) {
		s.told.Store(&text)
		s.logger.Warn("the consent store fails: as long as it does, no consent counts that it does not confirm", zap.Error(err))
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// Apply stores a batch. When it returns, no body that shows what was known before leaves this node any more: what is cached
// is forgotten, and what was being written of it is written. So it is after an error, because a transaction may have been
// committed though its answer was lost. It reports whether the batch said anything new.
func (s *Source) Apply(ctx context.Context, b Batch) (changed bool, err error) {
	if !s.opened.Load() { // it may be another store than the one that was here before
		return false, fmt.Errorf("changing consents: %w", ErrAway)
	}
	era := s.own.now()
	changes, err := s.store.Apply(ctx, b)
	var wrong *CheckError
	if errors.As(err, &wrong) {
		return false, err
	}
	for _, key := range b.keys() {
		s.cache.invalidate(key)
	}
	for _, c := range changes {
		s.cache.invalidate(c.Key)
	}
	s.own.made(era, changes)
	s.writes.wait(time.Second)
	if !errors.Is(err, ErrConflict) {
		s.failed(ctx, err, false)
	}
	return len(changes) > 0, err
}

// For is what the store knows, as one message asks for it.
func (s *Source) For(ctx context.Context) rules.People { return people{s, ctx} }
