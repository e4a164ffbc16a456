package consentstore

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-minimize/minimize/rules"
)

const shards = 64

// cache holds what was found by key. A node is in it from before the query that fills it, so that a change made meanwhile
// finds it. It leaves as outdated, however it leaves: who was found just before and is to be sent is asked about again.
//
// Because that costs a window its judging, whoever was just found must not leave: a shard holds two generations. Where the
// young one is full it becomes the old one, and what nobody asked for since the last time leaves. So there is a whole
// generation of others between being found and leaving.
type cache struct {
	seed  maphash.Seed
	most  int // in one generation of a shard
	parts [shards]shard
}

type shard struct {
	mu    sync.RWMutex
	nodes map[string]*node // the young
	old   map[string]*node // found again, they are young again
}

// node is what is known by one key. Its Person says whether that is outdated.
type node struct {
	person rules.Person
	kase   *rules.Case   // by a case's key; nil: there is none
	done   chan struct{} // closed when the query is, whatever came of it
	ready  atomic.Bool   // person and kase are filled in
}

func newCache(size int) *cache {
	c := &cache{seed: maphash.MakeSeed(), most: max(1, size/shards/2)}
	for i := range c.parts {
		c.parts[i].nodes = map[string]*node{}
	}
	return c
}

// get returns what is known by a subject's id, or nil. It allocates nothing, but where somebody is young again.
func (c *cache) get(id []byte) *node {
	p := &c.parts[maphash.Bytes(c.seed, id)%shards]
	p.mu.RLock()
	n := p.nodes[string(id)]
	old := n == nil
	if old {
		n = p.old[string(id)]
	}
	p.mu.RUnlock()
	if n == nil || !n.ready.Load() || n.person.Outdated() {
		return nil
	}
	if old {
		p.mu.Lock()
		p.rejuvenate(string(id))
		p.mu.Unlock()
	}
	return n
}

// claim returns the node of a key. Where there is none it makes one, and then it is the caller's to load.
func (c *cache) claim(key string, done chan struct{}) (n *node, mine bool) {
	p := c.part(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.nodes[key]; n != nil {
		return n, false
	}
	if n := p.rejuvenate(key); n != nil {
		return n, false
	}
	if len(p.nodes) >= c.most {
		p.age()
	}
	n = &node{done: done}
	p.nodes[key] = n
	return n, true
}

func (p *shard) rejuvenate(key string) *node {
	n := p.old[key]
	if n != nil {
		delete(p.old, key)
		p.nodes[key] = n
	}
	return n
}

// age throws the old generation away, but for what is being loaded: somebody waits for that.
func (p *shard) age() {
	for key, n := range p.old {
		if n.ready.Load() {
			n.person.Outdate()
		} else {
			p.nodes[key] = n
		}
	}
	p.old, p.nodes = p.nodes, make(map[string]*node)
}

func (p *shard) remove(key string) {
	for _, nodes := range []map[string]*node{p.nodes, p.old} {
		if n := nodes[key]; n != nil {
			n.person.Outdate()
			delete(nodes, key)
		}
	}
}

// drop removes a node that was not loaded, unless something else took its place.
func (c *cache) drop(key string, n *node) {
	p := c.part(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	n.person.Outdate()
	if p.nodes[key] == n || p.old[key] == n {
		p.remove(key)
	}
}

func (c *cache) invalidate(key string) {
	p := c.part(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(key)
}

// forget invalidates everything.
func (c *cache) forget() {
	for i := range c.parts {
		p := &c.parts[i]
		p.mu.Lock()
		for _, nodes := range []map[string]*node{p.nodes, p.old} {
			for key := range nodes {
				p.remove(key)
			}
		}
		p.mu.Unlock()
	}
}

func (c *cache) part(key string) *shard { return &c.parts[maphash.String(c.seed, key)%shards] }

func (c *cache) len() (n int) {
	for i := range c.parts {
		p := &c.parts[i]
		p.mu.RLock()
		n += len(p.nodes) + len(p.old)
		p.mu.RUnlock()
	}
	return n
}

// fill takes what a store found. It is a subject's or a case's key: the other part is empty.
func (n *node) fill(s *Subject) {
	n.person.Born, _ = time.Parse(time.DateOnly, s.Born)
	n.person.Minor, n.person.Ended = s.Minor, !s.Ended.IsZero()
	n.person.Guardians, n.person.Policy = s.Guardians, s.Policy
	for i := range s.Records {
		// Who agreed under a version accepted it, also where the consent was withdrawn since.
		n.person.Policy = max(n.person.Policy, s.Records[i].Policy)
		n.person.Consents = append(n.person.Consents, s.Records[i].consent())
		if s.Records[i].Recipient == "" && !s.Records[i].GPCAt.IsZero() {
			n.person.Signaled = append(n.person.Signaled, s.Records[i].Purpose)
		}
	}
	for i := range s.Cases {
		n.person.Cases = append(n.person.Cases, rules.Case(s.Cases[i]))
	}
	if s.Subject == "" && len(s.Cases) == 1 {
		n.kase = &n.person.Cases[0]
	}
	n.ready.Store(true)
}

func (r *Record) consent() rules.Consent {
	level, _ := rules.ParseLevel(r.Level)
	return rules.Consent{
		Purpose: r.Purpose, Recipient: r.Recipient, Categories: r.Categories,
		Level: level, ByGuardian: r.GivenBy == givenByGuardian, Policy: r.Policy,
		Given: r.Given, Expires: r.Expires, Withdrawn: r.Withdrawn, Objected: r.Objected, Restricted: r.Restricted,
	}
}
