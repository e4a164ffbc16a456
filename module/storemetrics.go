package minimize

import (
	"github.com/prometheus/client_golang/prometheus"
)

// storeState shows how the running app's consent store does. An app without one shows nothing, so that an alert on
// freshness stays quiet.
type storeState struct{}

func storeDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName("caddy", "minimize", name), help, nil, nil)
}

var (
	storeFresh    = storeDesc("consent_fresh", "1 while the consent store confirms what is cached, 0 while no consent counts because it is away.")
	storeAge      = storeDesc("consent_age_seconds", "How long ago the consent store confirmed what is cached.")
	storeCached   = storeDesc("consent_cached_subjects", "Data subjects in memory.")
	storeHits     = storeDesc("consent_hits_total", "Data subjects that were looked up in memory.")
	storeMisses   = storeDesc("consent_misses_total", "Data subjects that had to be read from the consent store.")
	storeQueries  = storeDesc("consent_queries_total", "Queries that read data subjects from the consent store, each for a whole window of a body.")
	storeChanges  = storeDesc("consent_changes_seen_total", "Changes that the consent store told of, from all gateways.")
	storeFailures = storeDesc("consent_failures_total", "Questions that the consent store did not answer in time.")
)

// Describe names what Collect shows.
func (storeState) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{storeFresh, storeAge, storeCached, storeHits, storeMisses, storeQueries, storeChanges, storeFailures} {
		to <- d
	}
}

// Collect asks the store's cache.
func (storeState) Collect(to chan<- prometheus.Metric) {
	app := running.Load()
	if app == nil || app.consents == nil {
		return
	}
	fresh := 0.0
	if app.consents.Fresh() {
		fresh = 1
	}
	stats := app.consents.Stats()
	to <- prometheus.MustNewConstMetric(storeFresh, prometheus.GaugeValue, fresh)
	to <- prometheus.MustNewConstMetric(storeAge, prometheus.GaugeValue, app.consents.Age().Seconds())
	to <- prometheus.MustNewConstMetric(storeCached, prometheus.GaugeValue, float64(stats.Cached))
	for desc, n := range map[*prometheus.Desc]uint64{
		storeHits: stats.Hits, storeMisses: stats.Misses, storeQueries: stats.Queries, storeChanges: stats.Changes, storeFailures: stats.Failures,
	} {
		to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n))
	}
}
