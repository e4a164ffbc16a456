//go:build linux

package test

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestWithdrawalWhileJudging withdraws a consent at any moment of a long body's life. It is held as a whole, so that some
// withdrawals fall between finding the consents and sending the first byte: those too have to be looked at again.
func TestWithdrawalWhileJudging(t *testing.T) {
	file := filepath.Join(t.TempDir(), "consent.db")
	id := newIssuer(t)
	backend := startBackend(t, map[string][]byte{"/api/orders": ordersOf(0, slices.Repeat([]int{0}, 12_000)...)})
	g := startGateway(t, site{store: "sqlite " + file, rules: fleetRules, backend: backend, key: id.public})
	f := &fleet{t: t, nodes: []*process{g}, history: newHistory(), failed: map[string]int{}, tokens: []string{id.token(t, map[string]any{"sub": buyer(0)})}}
	f.support = id.token(t, map[string]any{"sub": "support-1", "role": "support", "purpose": "after_sales"})
	all := page{"/api/orders", []int{0}, false}
	f.pages = []page{all}
	reader, changer := &speaker{address: g.address, limit: patience}, &speaker{address: g.address, limit: patience}
	defer reader.hangUp()
	defer changer.hangUp()
	var group sync.WaitGroup
	took := 20 * time.Millisecond
	for range 60 * long() {
		if !f.change(changer, 0, 0, true) {
			t.Fatal("a consent was not acknowledged")
		}
		later := time.Duration(rand.Int64N(int64(took)))
		group.Go(func() {
			start := time.Now()
			f.read(reader, 0, all)
			took = time.Since(start)
		})
		time.Sleep(later)
		if !f.change(changer, 0, 0, false) {
			t.Fatal("a withdrawal was not acknowledged")
		}
		group.Wait()
		f.read(reader, 0, all)
	}
	f.judge(60)
	shown := 0
	for _, r := range f.history.readings {
		shown += len(r.shown)
	}
	if shown == 0 || len(f.failed) > 0 {
		t.Errorf("%d answers showed the value, and others were none: %v", shown, f.failed)
	}
	t.Logf("%d of %d answers showed the value; one takes %v", shown, len(f.history.readings), took)
}
