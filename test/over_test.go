//go:build linux

package test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-minimize/minimize/test/postgres"
)

const overRules = `minimize: 1
operations: [GET /api/**]
roles: [support, dpo]
purposes: [after_sales]
records:
  - {at: /orders/*, subject: /buyer}
fields:
  - {at: /orders/*/phone, is: contact.phone}
allow:
  - {id: calls, to: support, for: after_sales, keep: [contact.phone]}
limit:
  - {id: snooping, to: support, over: 5/day, strip: [contact.phone]}
`

// TestOverCountsOnAllNodes has one caller ask three gateways for the orders of 60 people at once. Five of them are shown, again
// and again and on every node, and nobody else is; another caller has five of their own.
func TestOverCountsOnAllNodes(t *testing.T) {
	if now := time.Now().UTC(); now.Hour() == 23 && now.Minute() == 59 {
		t.Skip("the day of the count is about to end")
	}
	dsn := postgres.Start(t).NewDatabase(t)
	id := newIssuer(t)
	bodies := map[string][]byte{}
	const people = 60
	for i := range people {
		bodies[fmt.Sprintf("/api/order/%d", i)] = ordersOf(0, i)
	}
	bodies["/api/list"] = ordersOf(0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	backend := startBackend(t, bodies)
	var nodes []*process
	for range 3 {
		nodes = append(nodes, startGateway(t, site{store: "postgres " + dsn, rules: overRules, backend: backend, key: id.public}))
	}
	ask := func(caller string) map[int]bool {
		token := id.token(t, map[string]any{"sub": caller, "role": "support", "purpose": "after_sales"})
		var group sync.WaitGroup
		var mu sync.Mutex
		shown := map[int]bool{}
		for i := range people {
			group.Go(func() {
				got := get(t, fmt.Sprintf("http://%s/api/order/%d", nodes[i%3].address, i), token)
				if got.status != 200 {
					t.Errorf("status %d: %s", got.status, got.body)
				}
				if strings.Contains(got.body, phoneOf(i)) {
					mu.Lock()
					shown[i] = true
					mu.Unlock()
				}
			})
		}
		group.Wait()
		return shown
	}
	first := ask("support-1")
	if len(first) != 5 {
		t.Errorf("%d people were shown, want 5", len(first))
	}
	for range 3 {
		if again := ask("support-1"); fmt.Sprint(again) != fmt.Sprint(first) {
			t.Errorf("asked again, %v were shown, want %v", again, first)
		}
	}
	for _, node := range nodes {
		token := id.token(t, map[string]any{"sub": "support-2", "role": "support", "purpose": "after_sales"})
		got := get(t, "http://"+node.address+"/api/list", token)
		if shown := shownIn([]byte(got.body), []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}); !slices.Equal(shown, []int{0, 1, 2, 3, 4}) {
			t.Errorf("of a list %v were shown, want the first five", shown)
		}
	}
}
