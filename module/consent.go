package minimize

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-minimize/minimize/module/consentstore"
)

// Consent is the store of what data subjects agreed to, and of the cases that bind callers to them.
type Consent struct {
	// Store is the kind of database: "sqlite", a file on this machine, or "postgres", which several gateways can share.
	Store string `json:"store,omitempty"`

	// DSN is the file of the SQLite database, or PostgreSQL's connection string. Placeholders such as {env.CONSENT_DSN}
	// are replaced once, when the configuration is loaded, so that no configuration shows a password.
	DSN string `json:"dsn,omitempty"`

	// Stale is how long consents count that the database did not confirm. While it is away for longer, only what needs no
	// consent is disclosed. Default: 1s.
	Stale caddy.Duration `json:"stale,omitempty"`

	// Cache is how many data subjects are kept in memory, at least 1,000. Default: 100,000.
	Cache int `json:"cache,omitempty"`
}

// The bounds of Consent.Stale. The database is asked four times as often.
const (
	minStale = 100 * time.Millisecond
	maxStale = time.Minute
)

// minCache is the least of Consent.Cache: who leaves the cache while a body is judged has it judged again.
const minCache = 1000

// consents is what is known of data subjects, shared by the apps that use the same store: a reload of the configuration
// keeps what is cached, and a SQLite file is never opened by an old and a new app beside each other.
type consents struct {
	*consentstore.Source
	key        storeKey
	config     Consent // with which it was opened
	objections objections

	mu      sync.Mutex
	started bool
}

// storeKey is which store it is, however it is used.
type storeKey struct{ kind, dsn string }

// consentSources are the open stores by their storeKey.
var consentSources = caddy.NewUsagePool()

// provision checks the configuration. Nothing is opened before start.
func (c *Consent) provision(logger *zap.Logger) (*consents, error) {
	if c == nil {
		return nil, nil
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("consent: %w", err)
	}
	key := c.key()
	loaded, exists, err := consentSources.LoadOrNew(key, func() (caddy.Destructor, error) {
		store, err := consentstore.Open(c.Store, c.DSN)
		if err != nil {
			return nil, err
		}
		return &consents{key: key, config: *c, Source: consentstore.NewSource(store, consentstore.SourceOptions{
			Stale: time.Duration(c.Stale), CacheSize: c.Cache, Logger: storeLogger(),
		})}, nil
	})
	if err != nil {
		return nil, fmt.Errorf("consent: %w", err)
	}
	shared := loaded.(*consents)
	if exists && (shared.config.Stale != c.Stale || shared.config.Cache != c.Cache) {
		logger.Warn("the consent store is open already, and keeps the `stale` and `cache` that it was opened with: restart the gateway to change them",
			zap.Duration("stale", time.Duration(shared.config.Stale)), zap.Int("cache", shared.config.Cache))
	}
	return shared, nil
}

// key identifies the store. A SQLite file has one key however its path is written: a process that opens the file twice loses
// its locks as soon as it closes one of the two (sqlite.org/howtocorrupt.html, 2.2).
func (c *Consent) key() storeKey {
	path := c.DSN
	if c.Store != consentstore.SQLite {
		return storeKey{c.Store, path}
	}
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	if folder, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(folder, filepath.Base(path)) // the file itself may come later
	}
	if file, err := filepath.EvalSymlinks(path); err == nil {
		path = file
	}
	return storeKey{c.Store, path}
}

func (c *Consent) check() error {
	// The connection string is a secret, and with a brace in its password a part of it would stand in the replacer's error.
	dsn, err := caddy.NewReplacer().ReplaceOrErr(c.DSN, true, true)
	switch {
	case c.Store != consentstore.SQLite && c.Store != consentstore.Postgres:
		return fmt.Errorf("unknown store %q: write `consent sqlite FILE` or `consent postgres {env.CONSENT_DSN}`", c.Store)
	case err != nil || dsn == "":
		return errors.New("the connection string is empty, or a placeholder in it has no value")
	case c.Stale != 0 && (time.Duration(c.Stale) < minStale || time.Duration(c.Stale) > maxStale):
		return fmt.Errorf("stale is not between %v and %v", minStale, maxStale)
	case c.Cache != 0 && c.Cache < minCache:
		return fmt.Errorf("cache is how many data subjects are kept in memory, and not less than %d: a page of a list may hold as many", minCache)
	}
	c.DSN, c.Stale, c.Cache = dsn, cmp.Or(c.Stale, caddy.Duration(time.Second)), cmp.Or(c.Cache, 100_000)
	return nil
}

// start opens the store, unless another app did, and has this configuration's storage remember it.
func (c *consents) start(storage certmagic.Storage, node string) error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.remember(storage, node); err != nil || c.started {
		return err
	}
	existed := consentstore.Exists(c.config.Store, c.config.DSN)
	if err := c.Start(); err != nil {
		return fmt.Errorf("consent: %w", err)
	}
	if !existed { // also where a name has a mistake, or a volume is not mounted
		storeLogger().Warn("created a new, empty consent store: nobody has agreed to anything, and nobody has objected. If there was one before, stop the gateway and put it back", zap.String("file", c.config.DSN))
	}
	c.started = true
	return nil
}

// remember tells nodes by the hosts' names where they have a SQLite file each and a storage that is there to be shared. A folder is
// this machine's, and keeps what it knows when a container gets another name.
func (c *consents) remember(storage certmagic.Storage, node string) (err error) {
	if _, folder := storage.(*certmagic.FileStorage); node == "" && c.config.Store == consentstore.SQLite && !folder {
		if node, err = os.Hostname(); err != nil {
			return fmt.Errorf("consent: finding the host's name (or say `node NAME`): %w", err)
		}
	}
	if err = c.Remember(storage, node); err != nil {
		return fmt.Errorf("consent: %w", err)
	}
	return nil
}

func storeLogger() *zap.Logger { return zap.New(currentLog{}).Named("minimize.consent") }

// Destruct closes the store when no app uses it anymore.
func (c *consents) Destruct() error { return c.Close() }

// warnWithoutKeys tells that the audit log cannot say who changed whose consents.
func (a *App) warnWithoutKeys() {
	if a.Consent != nil && a.audit.opener != nil && a.Keys == "" {
		a.logger.Warn("audit lines of consent changes say neither whose consent it was nor who changed it, because there are no keys to make tokens of ids; " +
			"add `keys keys` to the global option minimize")
	}
}

// warnWithoutStore tells that rules ask for what nobody can answer.
func (a *App) warnWithoutStore() {
	if a.Consent != nil {
		return
	}
	for _, set := range *a.current.Load() {
		if set.enforced.AsksStore() {
			a.logger.Warn("rules ask for consents, or count data subjects with `over`, and there is no store: nobody has agreed, and everybody is one too many; " +
				"add `consent sqlite consent.db` to the global option minimize")
			return
		}
	}
}

// currentLog is Caddy's default log as it is configured at the time: a store outlives the configuration that opened it.
type currentLog struct{ fields []zapcore.Field }

// Enabled says what the default log takes.
func (currentLog) Enabled(level zapcore.Level) bool { return caddy.Log().Core().Enabled(level) }

// With adds fields to every entry.
func (l currentLog) With(fields []zapcore.Field) zapcore.Core {
	return currentLog{append(l.fields[:len(l.fields):len(l.fields)], fields...)}
}

// Check hands an entry on.
func (l currentLog) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return caddy.Log().Core().With(l.fields).Check(e, checked)
}

// Write is never called, because Check adds the cores of the default log only.
func (currentLog) Write(zapcore.Entry, []zapcore.Field) error { return nil }

// Sync does nothing: the default log is Caddy's.
func (currentLog) Sync() error { return nil }
