package consentstore

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// dialTimeout is short, because nothing comes back faster than it is tried again.
const dialTimeout = time.Second

// connections are those of one node. After a failure all of them are new: pgx tries for up to 15 seconds to cancel what ran
// on a connection that stalled, and keeps its place in the pool as long.
type connections struct {
	config  *pgxpool.Config
	current atomic.Pointer[pools]
}

// pools keep apart what must not wait for each other: changes, which follow one another, hold up no query, and a flood of
// queries holds up no question what changed.
type pools struct {
	query  *pgxpool.Pool
	change *pgxpool.Pool
	watch  *pgxpool.Pool

	mu       sync.Mutex // of the listener
	listener *pgxpool.Conn
}

// configure reads the DSN. Its errors never quote it.
func (c *connections) configure(dsn string) (err error) {
	c.config, err = pgxpool.ParseConfig(dsn)
	if err != nil && strings.Contains(err.Error(), "invalid port") { // nothing else tells it apart
		return errors.New("opening the consent store: the port in the connection string is no number from 1 to 65535; " +
			"or a password before it has one of : / ? # @ that is not percent-encoded")
	}
	if err != nil || dsn == "" {
		return errors.New("opening the consent store: this is no connection string: " +
			"write postgres://USER:PASSWORD@HOST:PORT/DATABASE or host=… user=… dbname=…")
	}
	if !strings.Contains(dsn, "pool_max_conns") {
		c.config.MaxConns = 8
	}
	c.config.MinConns, c.config.MinIdleConns = 0, 0 // nothing connects before Migrate
	conn := c.config.ConnConfig
	if conn.ConnectTimeout == 0 || conn.ConnectTimeout > dialTimeout {
		conn.ConnectTimeout = dialTimeout
	}
	if conn.ValidateConnect == nil {
		// A standby does not know yet what was withdrawn.
		conn.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if conn.RuntimeParams["application_name"] == "" {
		conn.RuntimeParams["application_name"] = "minimize"
	}
	fresh, err := c.pools()
	c.current.Store(fresh)
	return err
}

func (c *connections) pools() (p *pools, err error) {
	p = new(pools)
	for _, of := range []struct {
		pool **pgxpool.Pool
		most int32
	}{
		{&p.query, c.config.MaxConns},
		{&p.change, min(c.config.MaxConns, 4)},
		{&p.watch, 2}, // one listens, one asks
	} {
		config := c.config.Copy()
		config.MaxConns = of.most
		if *of.pool, err = pgxpool.NewWithConfig(context.Background(), config); err != nil {
			return nil, errors.New("opening the consent store: the connection string's pool settings are out of range")
		}
	}
	return p, nil
}

func (c *connections) use() *pools { return c.current.Load() }

// renew replaces connections that failed.
func (c *connections) renew(failed *pools) {
	if failed.query.Stat().TotalConns()+failed.change.Stat().TotalConns()+failed.watch.Stat().TotalConns() == 0 {
		return
	}
	fresh, err := c.pools()
	if err == nil && c.current.CompareAndSwap(failed, fresh) {
		go failed.close()
	} else if err == nil {
		fresh.close()
	}
}

// Close closes what is idle, and waits a moment for what is not.
func (c *connections) Close() error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.use().close()
	}()
	select {
	case <-done:
	case <-time.After(dialTimeout):
	}
	return nil
}

// transaction runs f in one, whose every statement sees what was committed before it: who waited for the counter's row has
// to see what the one before wrote, whatever the server's default_transaction_isolation is.
func (p *pools) transaction(ctx context.Context, f func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, p.change, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, f)
}

// listen returns when a change was notified.
func (p *pools) listen(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener == nil {
		conn, err := p.watch.Acquire(ctx)
		if err != nil {
			return err
		}
		p.listener = conn
		if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
			p.deafen()
			return err
		}
		return nil // something may have changed before it listened
	}
	_, err := p.listener.Conn().WaitForNotification(ctx)
	if p.listener.Conn().IsClosed() {
		p.deafen()
	}
	return err
}

// deafen gives the listener up. Released, it would be somebody else's connection and still listen.
func (p *pools) deafen() {
	conn := p.listener.Hijack()
	p.listener = nil
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	conn.Close(ctx)
}

func (p *pools) close() {
	p.mu.Lock()
	if p.listener != nil {
		p.deafen()
	}
	p.mu.Unlock()
	for _, pool := range []*pgxpool.Pool{p.watch, p.change, p.query} {
		pool.Close()
	}
}
