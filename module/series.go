package minimize

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// series are those that the messages under one rule set count in, once they are found: by its labels each costs a hash and
// a comparison of all of them, for every category of every message.
type series struct {
	mu   sync.RWMutex
	rows map[seriesKey]row
}

// seriesKey is a metric and those of its labels that a row has in common, all out of closed sets.
type seriesKey struct {
	of    *prometheus.CounterVec
	a, b  string
	cells int
}

// row is the series of a metric by the number of what they count.
type row []atomic.Pointer[prometheus.Counter]

// row returns the row of this key.
func (s *series) row(key seriesKey) row {
	s.mu.RLock()
	r := s.rows[key]
	s.mu.RUnlock()
	if r != nil {
		return r
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r = s.rows[key]; r != nil {
		return r
	}
	if s.rows == nil {
		s.rows = map[seriesKey]row{}
	}
	r = make(row, key.cells)
	s.rows[key] = r
	return r
}

// add counts in a cell. A series is only made where there is something to count.
func (r row) add(cell int, n uint32, found func() prometheus.Counter) {
	c := r[cell].Load()
	if c == nil {
		counter := found()
		c = &counter
		r[cell].Store(c)
	}
	(*c).Add(float64(n))
}
