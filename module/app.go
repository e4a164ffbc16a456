package minimize

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/body"
)

func init() {
	caddy.RegisterModule(new(App))
}

// defaultHoldMemory is what the holds of all bodies together take where the configuration does not say.
const defaultHoldMemory = 256 << 20

// pollEvery is how often rule and key files are read again. Polling their content sees every kind of change, also the
// symbolic links that Kubernetes swaps below a mounted volume.
var pollEvery = time.Second

// App holds what all `minimize` routes share: the rules, the keys, the audit log and the memory for held bodies. Rules and
// keys are read again when their files change; a change that does not load leaves the last good rules in force.
type App struct {
	// Rules are the rule documents: file names or patterns, `*` for any part of a name, and packs of the
	// binary, such as pack:gdpr. At least one document is needed.
	Rules []string `json:"rules,omitempty"`

	// Keys is a directory of keys for pseudonyms: a file is a key of at least 16 random bytes, its name the key id. New
	// pseudonyms use the greatest id. A file named RECIPIENT_ID is a key for this recipient alone, and goes before the others.
	// Without keys a rule that pseudonymizes is an error.
	Keys string `json:"keys,omitempty"`

	// GeoIP is a database in the MaxMind format that tells in which country an address is. Where there is one, a recipient
	// gets nothing at an address outside of the country that it is registered in, and a caller who claims another country
	// than its address is in counts as abroad. Default: the register's and the caller's word count.
	GeoIP string `json:"geoip,omitempty"`

	// Consent is the store of consents and cases. Without it nobody has given any consent.
	Consent *Consent `json:"consent,omitempty"`

	// AuditRaw is the log writer that gets one JSON line per judged message, for instance
	// {"output": "file", "filename": "audit.jsonl"}. Default: no audit log.
	AuditRaw json.RawMessage `json:"audit,omitempty" caddy:"namespace=caddy.logging.writers inline_key=output"`

	// AuditRequired refuses with 503 what the audit log cannot tell of, such as while its disk is full, and cuts off what is
	// under way by then. In report mode, which changes nothing, messages pass. Default: a line that cannot be written is counted and logged.
	AuditRequired bool `json:"audit_required,omitempty"`

	// Node is what this gateway is called in the audit log, and in Caddy's storage, which keeps its count of people abroad and
	// which consent store it has. Default: the host's name; of the store only with SQLite and a storage that is no folder, else none.
	Node string `json:"node,omitempty"`

	// HoldMemory is how many bytes of bodies all requests together hold back until they are judged. Under pressure each
	// holds less. Default: 256 MiB.
	HoldMemory int64 `json:"hold_memory,omitempty"`

	// Strict makes a route that reaches a backend without `minimize` before it an error instead of a warning.
	Strict bool `json:"strict,omitempty"`

	ctx      caddy.Context
	logger   *zap.Logger
	metrics  *metrics
	audit    *audit
	events   *caddyevents.App
	geo      *geoIP // nil: no database is configured
	budget   *body.Budget
	recent   *recent   // nil: there is no console
	consents *consents // nil: no store is configured
	abroad   *peopleAbroad
	current  atomic.Pointer[snapshot]
	drift    atomic.Pointer[drift]
	loads    atomic.Int64 // how often a change was taken

	uncovered int                 // routes that bypass minimize
	titles    map[*Handler]string // where the handlers stand
	canary    *canary

	mu        sync.Mutex // guards what Provision, the watcher and tests change
	loaded    *loaded
	routes    []*route
	files     watched
	tokenKeys []*fileKeys // the static keys of tokens, watched like the rules

	strangerTold atomic.Int64 // when one was told of last (strangerEvery)

	stop chan struct{}
	done chan struct{}
	kept chan struct{} // abroad is
}

// route is what a handler needs of the rules.
type route struct {
	documents []string // empty: all
	report    bool
	handler   *Handler // nil: it judges no answers
	api       bool     // it serves consents and judges nothing
	country   bool     // the route says where its callers are
	roles     []string // constants of the configuration
	purposes  []string
	recipient string // of egress
}

// chosen are the documents, the same in whatever order they are named.
func (u *route) chosen() []string { return slices.Compact(slices.Sorted(slices.Values(u.documents))) }

// key holds the documents' names apart by what no file's name has.
func (u *route) key() string { return strings.Join(u.chosen(), "/") }

// snapshot is the rules in force, by route.key: one per request, never changed.
type snapshot map[string]*ruleset

// ruleset is the rules of one choice of documents.
type ruleset struct {
	enforced  *rules.Ruleset
	candidate *rules.Ruleset // all documents, the candidates too; nil: there are none
	keys      *rules.KeyRing
	places    map[string]bool // countries and zones that the enforced rules name
	series    series
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "minimize",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision reads and compiles rules and keys. It opens no connection and writes no file, so that `caddy validate` may run anywhere.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx, a.logger = ctx, ctx.Logger()
	if len(a.Rules) == 0 {
		return errors.New("no rules: name the rule documents in the global option `minimize { rules rules/*.yaml }`")
	}
	if a.HoldMemory == 0 {
		a.HoldMemory = defaultHoldMemory
	}
	a.budget = body.NewBudget(a.HoldMemory)
	var err error
	if a.metrics, err = provisionMetrics(ctx); err != nil {
		return err
	}
	if err := a.resolvePaths(); err != nil {
		return err
	}
	if a.audit, err = a.provisionAudit(ctx); err != nil {
		return err
	}
	events, err := ctx.App("events")
	if err != nil {
		return err
	}
	a.events = events.(*caddyevents.App)
	if a.consents, err = a.Consent.provision(a.logger); err != nil {
		return err
	}
	if err := a.provisionPeopleAbroad(); err != nil {
		return err
	}
	if a.geo, err = openGeoIP(a.GeoIP); err != nil {
		return err
	}
	files, err := readFiles(a.Rules, a.Keys)
	if err != nil {
		return err
	}
	if a.loaded, err = load(files); err != nil {
		return err
	}
	if names := a.loaded.strangers(); len(names) > 0 { // a slip in the name, and what is destroyed later would be no key of theirs
		return fmt.Errorf("the key directory has a key for %q alone, whom no rule document registers: rename the file or remove it", names[0])
	}
	a.files.seen, a.files.taken = files.hash, files.hash
	a.current.Store(new(snapshot))
	a.drift.Store(newDrift(files.rules, a.metrics, a.logger))
	return nil
}

// resolvePaths replaces placeholders such as {env.RULES}, once.
func (a *App) resolvePaths() error {
	repl := caddy.NewReplacer()
	for i, p := range a.Rules {
		resolved, err := repl.ReplaceOrErr(p, true, true)
		if err != nil {
			return fmt.Errorf("resolving the rules %q: %w", p, err)
		}
		a.Rules[i] = resolved
	}
	for what, path := range map[string]*string{"the key directory": &a.Keys, "the database of countries": &a.GeoIP, "the node": &a.Node} {
		resolved, err := repl.ReplaceOrErr(*path, true, true)
		if err != nil {
			return fmt.Errorf("resolving %s %q: %w", what, *path, err)
		}
		*path = resolved
	}
	return nil
}

// add compiles the rules for a route and remembers it for later changes. Handlers call it while they are provisioned.
func (a *App) add(u *route) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	next := maps.Clone(*a.current.Load())
	if next == nil {
		next = make(snapshot)
	}
	if err := next.add(a.loaded, u); err != nil {
		return err
	}
	if err := next[u.key()].checkRecipient(u.recipient); err != nil {
		return err
	}
	a.routes = append(a.routes, u)
	a.current.Store(&next)
	return nil
}

// add compiles the rules for a route, unless they are there already.
func (s snapshot) add(loaded *loaded, u *route) (err error) {
	key := u.key()
	set := s[key]
	if set == nil {
		if set, err = loaded.compile(u); err != nil {
			return err
		}
	}
	if err := set.check(u); err != nil {
		return err
	}
	s[key] = set
	return nil
}

// rules returns the rules in force for a route.
func (a *App) rules(u *route) *ruleset { return (*a.current.Load())[u.key()] }

// watch has the keys read again when their file changes, until the app stops.
func (a *App) watch(keys *fileKeys) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tokenKeys = append(a.tokenKeys, keys)
}

// Start opens the consent store and the audit log, walks the routes, and watches the files and, by a canary, the routes.
func (a *App) Start() error {
	if !slices.ContainsFunc(a.routes, func(u *route) bool { return !u.api }) {
		a.logger.Warn("no route has a `minimize` directive: nothing is minimized")
	}
	if err := a.checkCoverage(); err != nil {
		return err
	}
	a.warnWithoutStore()
	a.warnWithoutKeys()
	if err := a.consents.start(a.ctx.Storage(), a.Node); err != nil {
		return err
	}
	if err := a.audit.open(); err != nil {
		return err
	}
	redirectStandardLog(a.logger)
	a.canary = newCanary(a)
	a.stop, a.done, a.kept = make(chan struct{}), make(chan struct{}), make(chan struct{})
	go a.poll(pollEvery)
	go a.keepPeopleAbroad()
	return nil
}

// Stop ends the watching and closes the audit log.
func (a *App) Stop() error {
	if a.stop != nil {
		close(a.stop)
		<-a.done
		<-a.kept
		a.stop = nil
	}
	running.CompareAndSwap(a, nil)
	return a.audit.close()
}

// Cleanup gives back what apps share, also where the app never started.
func (a *App) Cleanup() error {
	var errs []error
	if a.abroad != nil {
		_, err := peopleAbroadPool.Delete(a.abroad.key)
		errs = append(errs, err)
	}
	if a.consents != nil {
		_, err := consentSources.Delete(a.consents.key)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// check reports what of a route's configuration the rules do not know.
func (s *ruleset) check(u *route) error {
	if home := s.enforced.Home(); home != "" && !u.country {
		return fmt.Errorf("the rules have a home (%s), so the route must say where its callers are: "+
			"`country {claim.country}` in its `caller` block or, on an internal site, a constant like `country DE`", home)
	}
	if i := slices.IndexFunc(u.roles, func(r string) bool { return !s.enforced.KnowsRole(r) }); i >= 0 {
		return fmt.Errorf("the role %q of the route is in no rule document; declare it under `roles`", u.roles[i])
	}
	if i := slices.IndexFunc(u.purposes, func(p string) bool { return !s.enforced.KnowsPurpose(p) }); i >= 0 {
		return fmt.Errorf("the purpose %q of the route is in no rule document; declare it under `purposes`", u.purposes[i])
	}
	return nil
}

// checkRecipient reports a recipient to which nothing could be sent. It is for a configuration that is loaded: who leaves
// the register later must not keep the older rules in force, but is refused.
func (s *ruleset) checkRecipient(name string) error {
	if name == "" {
		return nil
	}
	entry := s.enforced.Recipient(name)
	switch {
	case entry == nil:
		return fmt.Errorf("the recipient %q is in no rule document; register it under `recipients`", name)
	case len(entry.Hosts) == 0:
		return fmt.Errorf("the recipient %q has no `hosts`; write in the register where it is reached", name)
	case slices.ContainsFunc(entry.Hosts, func(h string) bool { return strings.ContainsFunc(h, func(r rune) bool { return r > unicode.MaxASCII }) }):
		return fmt.Errorf("a host of the recipient %q is not ASCII; write it as DNS does, xn--… (RFC 5891)", name)
	}
	return nil
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
