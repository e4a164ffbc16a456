package minimize

import (
	"hash/maphash"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/axiomhq/hyperloglog"
	"github.com/prometheus/client_golang/prometheus"
)

// wideReaders counts the data subjects that each caller was shown today (UTC), so that one who goes through people by the
// hundred is seen where no `over` stops it. Neither the callers nor the data subjects are kept, but hashes of them.
type wideReaders struct {
	now  func() time.Time
	most int // callers
	seed maphash.Seed

	mu      sync.Mutex
	day     time.Time
	callers map[uint64]*reader
}

// reader is what one caller was shown.
type reader struct {
	people *hyperloglog.Sketch
	about  uint64 // how many
	stale  bool   // there may be more by now
}

// maxReaders bounds the callers that are remembered. Each takes 2 KiB at most.
const maxReaders = 10_000

// wideThresholds are how many data subjects a day are worth a look.
var wideThresholds = []uint64{50, 500, 5000}

func newWideReaders() *wideReaders {
	return &wideReaders{now: time.Now, most: maxReaders, seed: maphash.MakeSeed()}
}

// add notes that a caller was shown data of these people.
func (w *wideReaders) add(caller string, people []personHash) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.turn()
	id := maphash.String(w.seed, caller)
	r := w.callers[id]
	if r == nil {
		w.makeRoom()
		r = &reader{people: newReaderSketch()}
		w.callers[id] = r
	}
	r.stale = true
	for _, person := range people {
		r.people.InsertHash(maphash.Comparable(w.seed, person))
	}
}

// newReaderSketch counts some hundred people exactly, and more within 3 %.
func newReaderSketch() *hyperloglog.Sketch {
	sketch, _ := hyperloglog.NewSketch(10, true) // its error is a precision that does not exist
	return sketch
}

// turn begins anew with a day.
func (w *wideReaders) turn() {
	if day := w.now().UTC().Truncate(24 * time.Hour); !day.Equal(w.day) {
		w.day, w.callers = day, map[uint64]*reader{}
	}
}

// makeRoom forgets those who were shown the fewest, a tenth at once, so that many new callers cost little each.
func (w *wideReaders) makeRoom() {
	if len(w.callers) < w.most {
		return
	}
	ids := slices.Collect(maps.Keys(w.callers))
	slices.SortFunc(ids, func(a, b uint64) int { return int(w.callers[a].size()) - int(w.callers[b].size()) })
	for _, id := range ids[:max(1, w.most/10)] {
		delete(w.callers, id)
	}
}

func (r *reader) size() uint64 {
	if r.stale {
		r.about, r.stale = r.people.Estimate(), false
	}
	return r.about
}

var wideReadersDesc = prometheus.NewDesc("caddy_minimize_wide_readers",
	"Callers who were shown more than so many data subjects today (UTC), about.", []string{"people"}, nil)

// Describe names what Collect shows.
func (w *wideReaders) Describe(to chan<- *prometheus.Desc) { to <- wideReadersDesc }

// Collect counts.
func (w *wideReaders) Collect(to chan<- prometheus.Metric) {
	for i, n := range w.wide() {
		to <- prometheus.MustNewConstMetric(wideReadersDesc, prometheus.GaugeValue, float64(n), strconv.FormatUint(wideThresholds[i], 10))
	}
}

// wide counts the callers past each threshold.
func (w *wideReaders) wide() []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.turn()
	past := make([]int, len(wideThresholds))
	for _, r := range w.callers {
		size := r.size()
		for i, threshold := range wideThresholds {
			if size > threshold {
				past[i]++
			}
		}
	}
	return past
}
