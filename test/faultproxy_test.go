package test

import (
	"net"
	"sync"
	"testing"
	"time"
)

// faultProxy stands between a gateway and its database, and does to the connections what networks do.
type faultProxy struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	mood  mood
	eased chan struct{} // closed when the mood changes
	conns map[net.Conn]bool
}

// mood is what a faultProxy does.
type mood int

const (
	passing  mood = iota
	stalling      // nothing gets through, and nobody is told
	cutting       // connections are reset, those that are opened as well
	dragging      // every packet comes late
)

func startFaultProxy(t *testing.T, target string) *faultProxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &faultProxy{listener: listener, target: target, eased: make(chan struct{}), conns: map[net.Conn]bool{}}
	go p.accept()
	t.Cleanup(func() {
		listener.Close()
		p.set(cutting)
	})
	return p
}

func (p *faultProxy) address() string { return p.listener.Addr().String() }

// set changes the mood for all connections, those that stand included.
func (p *faultProxy) set(m mood) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mood = m
	close(p.eased)
	p.eased = make(chan struct{})
	if m == cutting {
		for c := range p.conns {
			reset(c)
		}
	}
}

// reset closes a connection with RST instead of FIN.
func reset(c net.Conn) {
	_ = c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

func (p *faultProxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.serve(client)
	}
}

func (p *faultProxy) serve(client net.Conn) {
	defer p.forget(client)
	if !p.keep(client) {
		return
	}
	p.pass()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer p.forget(server)
	if !p.keep(server) {
		return
	}
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			p.copy(pair[1], pair[0])
			done <- struct{}{}
		}()
	}
	<-done
}

// keep remembers a connection, unless all are cut.
func (p *faultProxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = true
	return p.mood != cutting
}

func (p *faultProxy) forget(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	reset(c)
}

func (p *faultProxy) copy(to, from net.Conn) {
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		p.pass()
		if _, failed := to.Write(buffer[:n]); failed != nil || err != nil {
			return
		}
	}
}

// pass waits as long as the mood makes a packet wait.
func (p *faultProxy) pass() {
	for {
		p.mu.Lock()
		m, eased := p.mood, p.eased
		p.mu.Unlock()
		switch m {
		case stalling:
			<-eased
			continue
		case dragging:
			time.Sleep(150 * time.Millisecond)
		}
		return
	}
}
