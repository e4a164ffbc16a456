package minimize

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-minimize/minimize/rules"
)

// watched says when content that is polled is to be loaded.
type watched struct {
	seen   string // at the last poll
	taken  string // in force
	failed string // did not load; "": what was seen last did
}

// due reports whether this content is new, and the same at two polls in a row: a file half written, cut where it still is
// good YAML, may lack the limit that stands at its end.
func (w *watched) due(hash string) bool {
	settled := hash == w.seen
	w.seen = hash
	return settled && hash != w.failed && (hash != w.taken || w.failed != "")
}

// loaded remembers what became of it, so that a broken file is told of once.
func (w *watched) loaded(hash string, err error) {
	if w.failed = hash; err == nil {
		w.taken, w.failed = hash, ""
	}
}

// poll watches the files. What metrics show is of this app only once its configuration runs: after our Start another app's
// may fail, and then the configuration before it goes on.
func (a *App) poll(every time.Duration) {
	defer close(a.done)
	if !a.each(10*time.Millisecond, func() bool { return !a.runs() }) {
		return
	}
	a.metrics.started(a)
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { a.canary.watch(ctx) })
	a.each(every, func() bool { a.refresh(); return true })
	cancel()
	watching.Wait()
}

// each calls f until it says no; false: the app stops.
func (a *App) each(every time.Duration, f func() bool) bool {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for f() {
		select {
		case <-a.stop:
			return false
		case <-ticker.C:
		}
	}
	return true
}

// runs reports whether this app belongs to the configuration that Caddy runs.
func (a *App) runs() bool {
	app, err := caddy.ActiveContext().AppIfConfigured("minimize")
	return err == nil && app == any(a)
}

// refresh takes changes of the files.
func (a *App) refresh() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refreshTokenKeys()
	a.refreshGeoIP()
	files, err := readFiles(a.Rules, a.Keys)
	if !a.files.due(files.hash) {
		return
	}
	if err == nil {
		err = a.take(files)
	}
	a.files.loaded(files.hash, err)
	a.metrics.reloaded(a, err)
	if err != nil {
		a.logErrors(err)
		return
	}
	a.canary.wake()
	a.logger.Info("took changed rules", zap.Int("documents", len(files.rules)))
	a.warnWithoutStore()
	for _, name := range a.loaded.strangers() { // no error: who leaves the register must be refused now, whatever keys are left
		a.logger.Warn("a key is for a recipient alone that no rule document registers: rename or remove it", zap.String("recipient", name))
	}
}

func (a *App) refreshTokenKeys() {
	broken := 0
	for _, keys := range a.tokenKeys {
		if err := keys.refresh(); err != nil {
			a.metrics.rulesFailures.Inc()
			a.logger.Error("the changed key file does not load; the last good keys stay in force", zap.String("file", keys.name), zap.Error(err))
		}
		if keys.failed != "" {
			broken++
		}
	}
	a.metrics.tokenKeysBroken(a, broken)
}

func (a *App) refreshGeoIP() {
	if a.geo == nil {
		return
	}
	taken, err := a.geo.refresh()
	if err != nil {
		a.metrics.rulesFailures.Inc()
		a.logger.Error("the changed database of countries does not load; the last good one stays in force", zap.Error(err))
	}
	if taken {
		a.logger.Info("took a changed database of countries", zap.Time("built", a.geo.built()))
	}
	a.metrics.showGeoIP(a)
}

// take compiles the files for every route and puts them in force, all or nothing.
func (a *App) take(files *files) error {
	loaded, err := load(files)
	if err != nil {
		return err
	}
	next := make(snapshot)
	for _, u := range a.routes {
		if err := next.add(loaded, u); err != nil {
			return err
		}
	}
	a.loaded = loaded
	a.current.Store(&next)
	a.drift.Store(newDrift(files.rules, a.metrics, a.logger))
	a.loads.Add(1)
	return nil
}

// logErrors writes a line for every error, with its place in the file.
func (a *App) logErrors(err error) {
	const message = "the changed rules do not load; the last good ones stay in force"
	if errs, ok := errors.AsType[rules.Errors](err); ok {
		for _, e := range errs {
			a.logger.Error(message, zap.String("at", e.Pos.String()), zap.String("error", e.Message))
		}
		return
	}
	a.logger.Error(message, zap.Error(err))
}
