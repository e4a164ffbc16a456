package minimize

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// canary asks each enforced route for synthetic data, as somebody without credentials: when a configuration runs, when the
// rules changed, and every minute. It proves that rules, caller and writer of that very handler let nothing through that the
// rules do not give. Routes that bypass the handlers are coverage's.
type canary struct {
	app    *App
	routes []*canaryRoute
	due    chan struct{} // the rules changed; nil: the app does not run
	shown  atomic.Pointer[map[string]bool]
}

// canaryRoute is a route that the canary asks.
type canaryRoute struct {
	title   string // as coverage names it; several may share one, and are protected if all are
	handler *Handler
	turn    int // how often it was asked: each time it is about other operations and names
}

const (
	canaryEvery      = time.Minute
	canaryPatience   = 5 * time.Second // with one answer
	canaryOperations = 64              // of a route, at most, in one run
	canaryShare      = 256             // of all routes together
)

// The results of a run, worst last.
const (
	canaryPassed = iota
	canaryError
	canaryFailed
)

var canaryResults = []string{canaryPassed: "passed", canaryError: "error", canaryFailed: "failed"}

// newCanary takes the routes that are enforced.
func newCanary(a *App) *canary {
	c := &canary{app: a, due: make(chan struct{}, 1)}
	for _, u := range a.routes {
		if u.handler == nil || u.report {
			continue
		}
		c.routes = append(c.routes, &canaryRoute{title: a.titles[u.handler], handler: u.handler})
	}
	return c
}

// wake has the routes asked now.
func (c *canary) wake() {
	if c == nil {
		return
	}
	select {
	case c.due <- struct{}{}:
	default: // it is due already
	}
}

// watch asks until the context ends.
func (c *canary) watch(ctx context.Context) {
	ticker := time.NewTicker(canaryEvery)
	defer ticker.Stop()
	for {
		c.run(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-c.due:
		}
	}
}

// run asks every route once.
func (c *canary) run(ctx context.Context) {
	if len(c.routes) == 0 {
		return
	}
	operations := min(canaryOperations, max(1, canaryShare/len(c.routes)))
	protected, worst := make(map[string]bool), canaryPassed
	var last map[string]bool // what is known stays until a route answers again
	if shown := c.shown.Load(); shown != nil {
		last = *shown
	}
	for _, r := range c.routes {
		result, ok := r.run(ctx, operations)
		if !ok {
			return // the next run is due
		}
		worst = max(worst, result)
		now, known := result == canaryPassed, true
		if result == canaryError {
			now, known = last[r.title]
		}
		if before, told := protected[r.title]; known {
			protected[r.title] = now && (before || !told)
		}
	}
	c.shown.Store(&protected)
	c.app.metrics.canaryRuns.WithLabelValues(canaryResults[worst]).Inc()
}

// run asks a route for the root and for some of its operations, and returns what came of it; not ok: the rules changed
// meanwhile, or the context ended.
func (r *canaryRoute) run(ctx context.Context, operations int) (result int, ok bool) {
	set := r.handler.app.rules(r.handler.route)
	for _, o := range r.operations(set.enforced, operations) {
		q := newCanaryQuestion(r.handler, set.enforced, o, r.turn)
		leaks, err := q.ask(ctx)
		if ctx.Err() != nil || r.handler.app.rules(r.handler.route) != set {
			return result, false
		}
		for _, p := range leaks {
			r.handler.app.logger.Error("the canary got what the rules do not give to anonymous: the route is not protected", zap.String("route", r.title),
				zap.String("operation", o.String()), zap.String("category", string(p.category.Name)), zap.String("selector", p.selector))
			result = canaryFailed
		}
		if err != nil {
			r.handler.app.logger.Error("the canary got no answer: nobody knows whether the route is protected", zap.String("route", r.title),
				zap.String("operation", o.String()), zap.Error(err))
			result = max(result, canaryError)
		}
		if result != canaryPassed {
			break
		}
	}
	r.turn++
	return result, true
}

// canaryState shows what the running app's canary found.
type canaryState struct{}

var canaryProtected = prometheus.NewDesc(prometheus.BuildFQName("caddy", "minimize", "protected"),
	"1 while a canary gets nothing out of an enforced route that the rules do not give to anonymous.", []string{"route"}, nil)

// Describe names what Collect shows.
func (canaryState) Describe(to chan<- *prometheus.Desc) { to <- canaryProtected }

// Collect shows the routes of the configuration that runs, and no other's.
func (canaryState) Collect(to chan<- prometheus.Metric) {
	app := running.Load()
	if app == nil || app.canary == nil {
		return
	}
	shown := app.canary.shown.Load()
	if shown == nil {
		return // it has just started
	}
	for title, protected := range *shown {
		value := 0.0
		if protected {
			value = 1
		}
		to <- prometheus.MustNewConstMetric(canaryProtected, prometheus.GaugeValue, value, title)
	}
}
