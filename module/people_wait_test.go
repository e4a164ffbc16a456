package minimize

import (
	"testing"
	"time"

	"github.com/caddy-minimize/minimize/rules"
)

// slow is a store that is not away, only slow.
type slow struct{ asked int }

func (s *slow) Find([]*rules.Person, [][]byte) { s.asked++; time.Sleep(bodyPatience / 2) }
func (*slow) Now() time.Time                   { return time.Time{} }
func (*slow) Case(string) *rules.Case          { return nil }
func (s *slow) Seen(nth []int, _ string, _ [][]byte, _ int) {
	s.asked++
	time.Sleep(bodyPatience / 2)
	nth[0] = 1
}
func (*slow) Send(_ []*rules.Person, write func() error) (bool, error) { return true, write() }

// cached answers at once.
type cached struct{ slow }

func (c *cached) Find(people []*rules.Person, _ [][]byte) { c.asked++; people[0] = new(rules.Person) }

// TestPatience: a message waits for a slow store once, not for every window; then it knows what is cached, and counts nobody.
func TestPatience(t *testing.T) {
	store, hasty := new(slow), new(cached)
	s := &sending{People: store, hasty: hasty}
	people, ids, nth := make([]*rules.Person, 1), [][]byte{[]byte("u")}, []int{0}
	s.Find(people, ids)
	s.Seen(nth, "c", ids, 5)
	if store.asked != 2 || nth[0] != 1 {
		t.Fatalf("asked %d times, got number %d", store.asked, nth[0])
	}
	s.Find(people, ids)
	s.Seen(nth, "c", ids, 5)
	if store.asked != 2 || hasty.asked != 1 || people[0] == nil || nth[0] != 0 {
		t.Errorf("without patience it asked %d and %d times, got %v and number %d", store.asked, hasty.asked, people[0], nth[0])
	}
}
