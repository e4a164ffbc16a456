package minimize

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-minimize/minimize/rules"
)

// metrics are the collectors. There is one set per process: Caddy makes a new registry for every configuration, and a
// counter that started again with each would lose its count (caddyserver/caddy#6813 tells how others broke on this).
// Every label is out of a closed set: the rules' categories and roles, and words of our own.
type metrics struct {
	values         *prometheus.CounterVec
	messages       *prometheus.CounterVec
	refusals       *prometheus.CounterVec
	headers        *prometheus.CounterVec
	bytes          *prometheus.CounterVec
	bytesRead      prometheus.Counter
	bytesWritten   prometheus.Counter
	engine         prometheus.Histogram
	wouldValues    *prometheus.CounterVec
	wouldMessages  *prometheus.CounterVec
	wouldRefusals  *prometheus.CounterVec
	egress         *prometheus.CounterVec
	egressRefusals *prometheus.CounterVec
	wouldEgress    *prometheus.CounterVec
	wouldStay      *prometheus.CounterVec
	rulesLoaded    prometheus.Gauge
	rulesChanged   prometheus.Gauge
	rulesInfo      *prometheus.GaugeVec
	rulesBroken    prometheus.Gauge
	rulesFailures  prometheus.Counter
	keysBroken     prometheus.Gauge
	geoBuilt       prometheus.Gauge
	geoBroken      prometheus.Gauge
	contradictions prometheus.Counter
	auditEntries   prometheus.Counter
	auditFailures  prometheus.Counter
	auditRequired  prometheus.Gauge
	panics         prometheus.Counter
	driftSamples   *prometheus.CounterVec
	drift          *prometheus.CounterVec
	consentChanges *prometheus.CounterVec
	gpcRecorded    prometheus.Counter
	gpcFailures    prometheus.Counter
	routes         *prometheus.GaugeVec
	disclosures    *prometheus.CounterVec
	undeclared     *prometheus.CounterVec
	streams        prometheus.Gauge
	canaryRuns     *prometheus.CounterVec
	readers        *wideReaders

	all []prometheus.Collector // as their constructors add them, so that none is forgotten
}

var (
	collectors = newMetrics()
	// running is the app that runs.
	running atomic.Pointer[App]
)

func newMetrics() *metrics {
	var all []prometheus.Collector
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return added(&all, prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "caddy", Subsystem: "minimize", Name: name, Help: help}, labels))
	}
	gauge := func(name, help string) prometheus.Gauge {
		return added(&all, prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "caddy", Subsystem: "minimize", Name: name, Help: help}))
	}
	gauges := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return added(&all, prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "caddy", Subsystem: "minimize", Name: name, Help: help}, labels))
	}
	plain := func(name, help string) prometheus.Counter {
		return added(&all, prometheus.NewCounter(prometheus.CounterOpts{Namespace: "caddy", Subsystem: "minimize", Name: name, Help: help}))
	}
	m := &metrics{
		values:   counter("values_total", "Values judged in messages that were sent, by what was done to them.", "category", "action", "role"),
		messages: counter("messages_total", "Messages by outcome.", "outcome", "role"),
		refusals: counter("refusals_total", "Messages refused or cut off, by the first reason.", "reason"),
		headers:  counter("headers_dropped_total", "Response headers dropped because of personal data in them.", "header"),
		bytes:    counter("body_bytes_total", "Bytes of judged bodies, read from upstreams and written to callers.", "direction"),
		engine: added(&all, prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "caddy", Subsystem: "minimize", Name: "engine_seconds",
			Help:    "Time spent judging a body, without waiting for the upstream or the caller.",
			Buckets: []float64{1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 1, 5},

			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		})),
		wouldValues:    counter("would_values_total", "Values by what report mode or candidate rules would have done.", "because", "category", "action", "role"),
		wouldMessages:  counter("would_messages_total", "Messages by the outcome that enforcing would have had.", "because", "outcome", "role"),
		wouldRefusals:  counter("would_refusals_total", "Messages that enforcing would have refused, by the first reason.", "because", "reason"),
		egress:         counter("egress_total", "Requests to recipients by outcome.", "recipient", "country", "outcome"),
		egressRefusals: counter("egress_refusals_total", "Requests to recipients refused or cut off, by the first reason.", "recipient", "country", "reason"),
		wouldEgress:    counter("would_egress_total", "Requests to recipients by the outcome that enforcing would have had.", "because", "recipient", "country", "outcome"),
		wouldStay:      counter("would_egress_refusals_total", "Requests to recipients that enforcing would have refused, by the first reason.", "because", "recipient", "country", "reason"),
		rulesChanged:   gauge("rules_changed_timestamp_seconds", "When the newest rule file in force was written, by its modification time; 0: all are packs."),
		rulesLoaded:    gauge("rules_loaded_timestamp_seconds", "When the rules in force were loaded."),
		rulesBroken:    gauge("rules_broken", "1 while the rule files do not load and older rules are in force."),
		rulesFailures:  plain("rules_reload_failures_total", "Changes of rules or keys that did not load."),
		keysBroken:     gauge("token_key_files_broken", "Key files for tokens that do not load, so that older keys are in force."),
		geoBuilt:       gauge("geoip_built_timestamp_seconds", "When the database of countries in force was made; 0 without one."),
		geoBroken:      gauge("geoip_broken", "1 while the database of countries does not load and an older one is in force."),
		contradictions: plain("geoip_contradictions_total", "Messages whose caller counts as abroad because its address is in another country than it claims."),
		auditEntries:   plain("audit_entries_total", "Audit lines that were written."),
		auditRequired:  gauge("audit_required", "1 if nothing is sent that the audit log cannot tell of."),
		auditFailures:  plain("audit_failures_total", "Audit lines that could not be written."),
		consentChanges: counter("consent_changes_total", "Changes of consents, profiles and cases that the API or a Sec-GPC header made, by event.", "event"),
		gpcRecorded:    plain("gpc_recorded_total", "Objections recorded because of a Sec-GPC header."),
		gpcFailures:    plain("gpc_failures_total", "Sec-GPC headers whose objections could not be stored; the next request tries again."),
		driftSamples:   counter("drift_samples_total", "Answers compared with the OpenAPI document among the rules, at most one a second.", "document", "operation"),
		drift:          counter("drift_total", "Compared answers with members that the OpenAPI document does not have.", "document", "operation"),
		panics:         plain("panics_total", "Panics that were recovered; what was being judged was not sent."),
		canaryRuns:     counter("canary_runs_total", "Runs in which a canary asked all enforced routes, by the worst result of a route.", "result"),
		disclosures:    counter("disclosures_total", "Values that were sent, by who received them and in which country.", "category", "recipient", "country"),
		undeclared:     counter("undeclared_values_total", "Values that no rule declares and no detector knows, by what was done to them.", "action"),
		streams:        gauge("streams", "Bodies that are being judged."),
		routes:         gauges("routes", "Routes that are enforced, with those to recipients apart, those in report mode, where nothing is minimized, and uncovered ones, which reach a backend without minimize.", "state"),
		rulesInfo:      gauges("rules_info", "The hash of the rules in force, by the choice of documents.", "documents", "hash"),
		readers:        added(&all, newWideReaders()),
	}
	m.bytesRead, m.bytesWritten = m.bytes.WithLabelValues("read"), m.bytes.WithLabelValues("written")
	m.all = append(all, storeState{}, peopleAbroadState{}, canaryState{}, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "caddy", Subsystem: "minimize", Name: "hold_memory_bytes", Help: "Bytes of bodies that are held until they are judged.",
	}, heldBytes))
	return m
}

// added notes a collector in a list.
func added[C prometheus.Collector](all *[]prometheus.Collector, c C) C {
	*all = append(*all, c)
	return c
}

func heldBytes() float64 {
	if a := running.Load(); a != nil {
		return float64(a.HoldMemory - a.budget.Left())
	}
	return 0
}

// provisionMetrics registers the collectors with this configuration's registry.
func provisionMetrics(ctx caddy.Context) (*metrics, error) {
	registry := ctx.GetMetricsRegistry()
	for _, c := range collectors.all {
		err := registry.Register(c)
		if _, already := errors.AsType[prometheus.AlreadyRegisteredError](err); err != nil && !already {
			return nil, err
		}
	}
	return collectors, nil
}

// started shows the state of the app that now runs. Some series start at 0, so that the first increase is seen.
func (m *metrics) started(a *App) {
	running.Store(a)
	m.showRoutes(a)
	for action := rules.Keep; int(action) < rules.ActionCount; action++ {
		m.undeclared.WithLabelValues(action.String())
	}
	m.auditRequired.Set(0)
	if a.AuditRequired {
		m.auditRequired.Set(1)
	}
	for reason := rules.Authority; int(reason) < rules.ReasonCount; reason++ {
		m.refusals.WithLabelValues(reason.String())
	}
	for _, result := range canaryResults {
		m.canaryRuns.WithLabelValues(result)
	}
	m.reloaded(a, nil)
	m.tokenKeysBroken(a, 0)
	m.showGeoIP(a)
}

// showRoutes counts the routes, but for those that judge nothing. Those to recipients have no canary.
func (m *metrics) showRoutes(a *App) {
	states := map[string]int{"enforced": 0, "recipient": 0, "report": 0, "uncovered": a.uncovered}
	for _, u := range a.routes {
		switch {
		case u.api:
		case u.report:
			states["report"]++
		case u.recipient != "":
			states["recipient"]++
		default:
			states["enforced"]++
		}
	}
	for state, n := range states {
		m.routes.WithLabelValues(state).Set(float64(n))
	}
}

// reloaded shows the rules in force, and whether newer ones did not load. An app that does not run shows nothing.
func (m *metrics) reloaded(a *App, err error) {
	if err != nil {
		m.rulesFailures.Inc()
	}
	if running.Load() != a {
		return
	}
	if err != nil {
		m.rulesBroken.Set(1)
		return
	}
	m.rulesBroken.Set(0)
	m.rulesLoaded.SetToCurrentTime()
	m.rulesChanged.Set(float64(a.loaded.changed()))
	m.rulesInfo.Reset()
	for documents, set := range *a.current.Load() {
		if documents == "" {
			documents = "all"
		}
		m.rulesInfo.WithLabelValues(documents, set.enforced.Hash()).Set(1)
	}
}

func (m *metrics) tokenKeysBroken(a *App, files int) {
	if running.Load() == a {
		m.keysBroken.Set(float64(files))
	}
}

// showGeoIP shows the database of countries in force.
func (m *metrics) showGeoIP(a *App) {
	if running.Load() != a {
		return
	}
	built, broken := 0.0, 0.0
	if a.geo != nil {
		built = float64(a.geo.built().Unix())
		if a.geo.failed != "" {
			broken = 1
		}
	}
	m.geoBuilt.Set(built)
	m.geoBroken.Set(broken)
}
