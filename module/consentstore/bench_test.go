package consentstore

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/caddy-minimize/minimize/rules"
	clusters "github.com/caddy-minimize/minimize/test/postgres"
)

// storedSubjects is how many data subjects the benchmarks store: a million takes minutes, so they are asked for by
// MINIMIZE_SUBJECTS=1000000.
func storedSubjects() int {
	if n, err := strconv.Atoi(os.Getenv("MINIMIZE_SUBJECTS")); err == nil {
		return n
	}
	return 10_000
}

// BenchmarkFind is a page of a hundred data subjects: cold, as the store finds them, and warm, out of the cache and sent.
func BenchmarkFind(b *testing.B) {
	for _, kind := range []string{SQLite, Postgres} {
		b.Run(kind, func(b *testing.B) {
			dsn := filepath.Join(b.TempDir(), "consent.db")
			if kind == Postgres {
				dsn = clusters.Start(b).DSN()
			}
			n := storedSubjects()
			s := filled(b, kind, dsn, n)
			page := func(first int) (ids [][]byte) {
				for i := range 100 {
					ids = append(ids, []byte(strconv.Itoa((first+i*7919)%n)))
				}
				return ids
			}
			people := s.For(b.Context())
			found := make([]*rules.Person, 100)
			b.Run("cold", func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					s.cache.forget()
					ids := page(i)
					people.Find(found, ids)
				}
				told(b, found)
			})
			b.Run("warm", func(b *testing.B) {
				ids := page(0)
				b.ReportAllocs()
				for b.Loop() {
					people.Find(found, ids)
					people.Send(found, func() error { return nil })
				}
				told(b, found)
			})
		})
	}
}

// BenchmarkApply is one change after another.
func BenchmarkApply(b *testing.B) {
	for _, kind := range []string{SQLite, Postgres} {
		b.Run(kind, func(b *testing.B) {
			dsn := filepath.Join(b.TempDir(), "consent.db")
			if kind == Postgres {
				dsn = clusters.Start(b).DSN()
			}
			s := filled(b, kind, dsn, 1000)
			for i := 0; b.Loop(); i++ {
				tell(b, s, says("7", "ads", []Event{Object, Unobject}[i%2]))
			}
		})
	}
}

func told(b *testing.B, found []*rules.Person) {
	b.Helper()
	for _, p := range found {
		if standing(p) != "g" {
			b.Fatalf("got %s", standing(p))
		}
	}
}

func filled(b *testing.B, kind, dsn string, n int) *Source {
	b.Helper()
	s := started(b, opened(b, kind, dsn), SourceOptions{Stale: 30 * time.Second})
	start := time.Now()
	var batch Batch
	for i := range n {
		batch.Entries = append(batch.Entries, gives(strconv.Itoa(i), "ads"))
		if len(batch.Entries) == 2000 || i == n-1 {
			if _, err := s.Apply(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
			batch.Entries = nil
		}
	}
	fmt.Printf("%s: %d data subjects stored in %v\n", kind, n, time.Since(start).Round(time.Millisecond))
	return s
}
