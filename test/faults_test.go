//go:build linux

package test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddy-minimize/minimize/test/postgres"
)

// recovery is how long after the store's return a node may still disclose too little.
const recovery = 2 * time.Second

// recovers waits until a node shows again what a data subject consented to long ago.
func (f *fleet) recovers(node int, since time.Time) time.Duration {
	f.t.Helper()
	s := &speaker{address: f.nodes[node].address, limit: patience}
	defer s.hangUp()
	subject := changing + rand.IntN(faithful)
	for {
		x, err := s.ask(http.MethodGet, "/api/order/"+buyer(subject), f.support, "", nil)
		took := time.Since(since)
		switch {
		case err == nil && x.status == http.StatusOK && len(shownIn(x.body, []int{subject})) == 1:
			return took
		case took > 10*time.Second:
			f.t.Fatalf("node %d does not recover: %v, status %d", node, err, x.status)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// allRecover wants it of every node within the bound.
func (f *fleet) allRecover(since time.Time, what string) {
	f.t.Helper()
	for node := range f.nodes {
		if took := f.recovers(node, since); took > recovery {
			f.t.Errorf("%s: node %d needed %v to recover", what, node, took)
		}
	}
}

// closed wants a node without its store to show nobody's value, and to answer nevertheless.
func (f *fleet) closed(node int, what string) {
	f.t.Helper()
	s := &speaker{address: f.nodes[node].address, limit: patience}
	defer s.hangUp()
	all := f.pages[len(f.pages)-1]
	x, err := s.ask(http.MethodGet, all.path, f.support, "", nil)
	if shown := shownIn(x.body, all.subjects); err != nil || x.status != http.StatusOK || len(shown) > 0 {
		f.t.Errorf("%s: node %d: %v, status %d, and it showed %d values that nobody can know to be consented", what, node, err, x.status, len(shown))
	}
}

// calm wants no answer to fail while f runs, in which no gateway is killed.
func (f *fleet) calm(what string, broken func()) {
	f.t.Helper()
	before := f.failures()
	broken()
	if after := f.failures(); after != before {
		f.t.Errorf("%s made answers fail: %s before, %s after", what, before, after)
	}
}

func (f *fleet) failures() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprint(f.failed)
}

// proxied is a DSN with another address in it.
func proxied(dsn, address string) string {
	before, after, _ := strings.Cut(dsn, "@")
	_, database, _ := strings.Cut(after, "/")
	return before + "@" + address + "/" + database
}

// TestKills kills PostgreSQL and the gateways with kill -9 while consents are given, withdrawn and read. MINIMIZE_LONG=1 makes
// it ten times as long. A clock that jumps is left to the store's own tests, with a clock of theirs: a process cannot be
// given one of its own, and this machine's belongs to others.
func TestKills(t *testing.T) {
	cluster := postgres.Start(t)
	dsn := cluster.NewDatabase(t)
	f := startFleet(t, "pgx", dsn, "postgres "+dsn, "postgres "+dsn, "postgres "+dsn)
	kills := 0
	f.suffer(100, func() {
		for round := range 12 * long() {
			kills += f.killDatabase(cluster, round)
			kills += f.killGateways()
		}
	})
	if kills < 50 {
		t.Errorf("%d processes were killed, want 50", kills)
	}
}

// TestNetworkFaults breaks the network between the gateways and PostgreSQL.
func TestNetworkFaults(t *testing.T) {
	cluster := postgres.Start(t)
	dsn := cluster.NewDatabase(t)
	var proxies []*faultProxy
	var stores []string
	for range 3 {
		p := startFaultProxy(t, fmt.Sprintf("127.0.0.1:%d", cluster.Port()))
		proxies = append(proxies, p)
		stores = append(stores, "postgres "+proxied(dsn, p.address()))
	}
	f := startFleet(t, "pgx", dsn, stores...)
	f.suffer(100, func() {
		for range long() {
			f.breakNetwork(proxies)
			f.breakPush()
		}
	})
}

// long is how many times as long the tests run that look for what is rare.
func long() int {
	if os.Getenv("MINIMIZE_LONG") != "" {
		return 10
	}
	return 1
}

// suffer does something to the fleet under load, and judges what it showed meanwhile.
func (f *fleet) suffer(withdrawals int, faults func()) {
	f.t.Helper()
	f.pledge()
	ctx, cancel := context.WithCancel(f.t.Context())
	wait := f.load(ctx, 2)
	faults()
	cancel()
	wait()
	f.judge(withdrawals)
	for what, n := range f.failed {
		if what != "no answer" {
			f.t.Errorf("%d answers were none: %s", n, what)
		}
	}
	f.stored()
}

// killDatabase kills PostgreSQL and starts it again. In every other round it stays away for longer than its consents count, and
// a gateway is killed and comes up without it.
func (f *fleet) killDatabase(cluster *postgres.Cluster, round int) (kills int) {
	f.t.Helper()
	away := round%2 == 1
	crash := func() {
		cluster.Kill()
		if away {
			time.Sleep(bound + 300*time.Millisecond)
			for node := range f.nodes {
				f.closed(node, "PostgreSQL is dead")
			}
		}
	}
	f.calm("killing PostgreSQL", crash)
	if away {
		node := f.nodes[round%len(f.nodes)]
		node.kill()
		node.start()
		node.waitUp()
		f.closed(round%len(f.nodes), "started without PostgreSQL")
		kills++
	}
	f.calm("starting PostgreSQL", func() {
		cluster.Restart()
		f.allRecover(time.Now(), "PostgreSQL is back")
	})
	return kills + 1
}

// killGateways kills all, one after the other, and starts each again at once.
func (f *fleet) killGateways() int {
	f.t.Helper()
	for _, node := range f.nodes {
		node.kill()
		node.start()
		time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
	}
	for _, node := range f.nodes {
		node.waitUp()
	}
	f.allRecover(time.Now(), "the gateway is back")
	return len(f.nodes)
}

// breakNetwork takes the database from one node, while the others go on changing consents, and then from all at once.
func (f *fleet) breakNetwork(proxies []*faultProxy) {
	f.t.Helper()
	first := rand.IntN(len(proxies))
	for _, m := range []struct {
		mood mood
		name string
	}{{stalling, "a network stall"}, {cutting, "a reset network"}} {
		for _, nodes := range [][]int{{first}, {0, 1, 2}} {
			f.calm(m.name, func() {
				for _, node := range nodes {
					proxies[node].set(m.mood)
				}
				time.Sleep(bound + 300*time.Millisecond)
				for _, node := range nodes {
					f.closed(node, m.name)
				}
				time.Sleep(time.Second)
				for _, node := range nodes {
					proxies[node].set(passing)
				}
				f.allRecover(time.Now(), m.name+" is over")
			})
		}
	}
	f.calm("a slow network", func() {
		for _, p := range proxies {
			p.set(dragging)
		}
		time.Sleep(3 * time.Second)
		for _, p := range proxies {
			p.set(passing)
		}
		f.allRecover(time.Now(), "the network is fast again")
	})
}

// breakPush ends the connections over which PostgreSQL tells of changes, again and again: the push makes what is withdrawn
// end earlier, and that it ends in time must not rest on it.
func (f *fleet) breakPush() {
	f.t.Helper()
	db, err := sql.Open(f.driver, f.database)
	if err != nil {
		f.t.Fatal(err)
	}
	defer db.Close()
	ended := int64(0)
	f.calm("a broken push", func() {
		for range 20 {
			time.Sleep(100 * time.Millisecond)
			result, err := db.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'listen%'")
			if err != nil {
				f.t.Fatal(err)
			}
			n, _ := result.RowsAffected()
			ended += n
		}
		f.allRecover(time.Now(), "the push is back")
	})
	if ended == 0 {
		f.t.Error("no connection was found that listens")
	}
}
