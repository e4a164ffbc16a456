package consentstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-minimize/minimize/rules"
)

// crowded is a store of which everybody agreed.
type crowded struct{ Store }

func (crowded) Find(_ context.Context, keys []string) ([]Subject, error) {
	found := make([]Subject, len(keys))
	for i, key := range keys {
		found[i] = Subject{Profile: Profile{Subject: key}, Records: []Record{{Entry: gives(key, "ads"), Given: time.Unix(1, 0)}}}
	}
	return found, nil
}

// TestSourceCrowd shows that many bodies at once, about more data subjects than the cache holds, are sent: whoever was just
// found does not leave the cache because of the others. A window is judged four times at most.
func TestSourceCrowd(t *testing.T) {
	s := started(t, crowded{newFaulty(t).Store}, SourceOptions{Stale: 30 * time.Second, CacheSize: 10_000})
	var windows, again, givenUp atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			people := s.For(t.Context())
			for range 40 {
				found, ids := make([]*rules.Person, 100), make([][]byte, 100)
				for i := range ids {
					ids[i] = fmt.Append(nil, "p", rand.IntN(40_000))
				}
				sent := false
				for try := 0; try < 4 && !sent; try++ {
					if try > 0 {
						again.Add(1)
					}
					people.Find(found, ids)
					time.Sleep(time.Millisecond) // it is judged
					sent, _ = people.Send(found, func() error { return nil })
				}
				for _, p := range found {
					sent = sent && p != nil
				}
				if windows.Add(1); !sent {
					givenUp.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if again.Load() > windows.Load()/10 || givenUp.Load() > 0 {
		t.Errorf("of %d windows %d were judged again, and %d given up", windows.Load(), again.Load(), givenUp.Load())
	}
	if cached := s.Stats().Cached; cached > 12_000 { // what is being loaded may be a few too many
		t.Errorf("got %d in a cache of 10,000", cached)
	}
}

// TestSeenAnotherDay shows that the numbers of the day before are nobody's once it is over.
func TestSeenAnotherDay(t *testing.T) {
	nth, err := seen([]string{"p", "q"}, 5, func(known map[string]int) error {
		known["p"], known[""] = 3, 4
		return nil
	}, func(known map[string]int) error { // at midnight
		count([]string{"p", "q"}, known, 0, 5)
		return nil
	})
	if err != nil || fmt.Sprint(nth) != "[1 2]" {
		t.Errorf("got %v, %v", nth, err)
	}
}

// TestSourceTells shows what of a store's failures is logged: the first of those that pass by themselves, and of the others
// whatever is not the same as before.
func TestSourceTells(t *testing.T) {
	core, logs := observer.New(zapcore.InfoLevel)
	s := NewSource(newFaulty(t).Store, SourceOptions{Logger: zap.New(core)})
	away := fmt.Errorf("reading: %w", ErrAway)
	for i, tt := range []struct {
		err   error
		first bool
		tells bool
	}{
		{away, false, true}, {away, true, true}, {away, false, false}, {errNewer, false, true}, {errNewer, false, false}, {errEncoding, false, true},
		{away, false, false}, {errEncoding, false, false}, {errNewer, false, true}, {nil, true, false},
	} {
		s.failed(t.Context(), tt.err, tt.first)
		if told := logs.TakeAll(); len(told) > 0 != tt.tells {
			t.Errorf("%d: %v: got %d lines", i, tt.err, len(told))
		}
	}
	if n := s.Stats().Failures; n != 9 {
		t.Errorf("got %d failures", n)
	}
}
