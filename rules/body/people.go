package body

import (
	"slices"

	"github.com/caddy-minimize/minimize/rules"
)

// maxJudgings is how often a window is judged again because something was said anew meanwhile. After that nobody is known.
const maxJudgings = 4

// crowd is whom a store is asked about when a window closes.
type crowd struct {
	subjects []byte // their ids, one after another
	ids      [][]byte
	found    []*rules.Person
	nth      []int
	judgings int                         // of this window
	counts   [][rules.ActionCount]uint32 // of the report, before the window was judged
}

// ask decides for the message and for every closed record of the window by what is known now of its data subject. All of
// them are asked about at once.
func (w *JSON) ask() {
	message, subject := w.judge.Message()
	now := w.judge.Now()
	w.ids = w.ids[:0]
	if message.Known() {
		w.ids = append(w.ids, []byte(subject))
	}
	for i := range w.records {
		if r := &w.records[i]; r.asks {
			w.ids = append(w.ids, w.subjects[r.subject[0]:r.subject[1]])
		}
	}
	w.found = append(w.found[:0], make([]*rules.Person, len(w.ids))...)
	w.nth = append(w.nth[:0], make([]int, len(w.ids))...)
	if len(w.ids) > 0 && w.judgings < maxJudgings {
		w.people.Find(w.found, w.ids)
		w.judge.Seen(w.nth, w.ids)
	}
	k := 0
	next := func() (*rules.Person, int) { k++; return w.found[k-1], w.nth[k-1] }
	var person *rules.Person
	var nth int
	if message.Known() {
		person, nth = next()
	}
	w.records[0].table, w.records[0].person = w.table(w.judge.Complete(&message, person, nth, now)), person
	for i := range w.records {
		if r := &w.records[i]; r.asks {
			person, nth = next()
			r.table, r.person = w.table(w.judge.Complete(&r.pending, person, nth, now)), person
		}
	}
}

// send gives a judged window to the sink, unless something was said anew since its people were found.
func (w *JSON) send(p []byte, limit int, last bool) (bool, error) {
	write := func() error {
		w.tellReached(limit)
		return w.sink(p, last)
	}
	if w.people == nil || w.judgings >= maxJudgings {
		return true, write()
	}
	return w.people.Send(w.found, write)
}

// tellReached tells whose records show something in the window up to limit. What belongs to no record of somebody is the
// message's.
func (w *JSON) tellReached(limit int) {
	if w.tellOf == nil {
		return
	}
	for i := len(w.records) - 1; i > 0; i-- {
		if r := &w.records[i]; w.departs(r, limit) && r.subject[0] == r.subject[1] {
			w.records[r.parent].shows = true
		}
	}
	for i := range w.records[1:] {
		if r := &w.records[1+i]; w.departs(r, limit) && r.subject[0] < r.subject[1] {
			w.tellOf(w.subjects[r.subject[0]:r.subject[1]], r.person)
		}
	}
	if message := &w.records[0]; message.shows {
		message.shows = false
		if said, subject := w.judge.Message(); said.Known() {
			w.tellOf([]byte(subject), message.person)
		}
	}
}

// departs reports whether a record ends with the window up to limit and shows something in it.
func (w *JSON) departs(r *record, limit int) bool {
	if r.open || r.comma >= limit || !r.shows {
		return false
	}
	for ; r != &w.records[0]; r = &w.records[r.parent] {
		if r.dropped {
			return false
		}
	}
	return true
}

// judging is what judging a window changes besides its holes.
type judging struct {
	run    run
	report rules.Report
}

// before notes how things stand, so that the window can be judged again.
func (w *JSON) before() (was judging) {
	if w.people != nil {
		w.counts = append(w.counts[:0], w.report.Counts...)
		was = judging{w.run, w.report}
		if w.why != nil {
			why := *w.why
			why.Categories, why.Selectors = slices.Clone(why.Categories), slices.Clone(why.Selectors)
			was.run.why = &why
		}
		for i := range w.records {
			w.records[i].showed = w.records[i].shows
		}
	}
	return was
}

// again takes back what was judged, because something was said anew meanwhile.
func (w *JSON) again(n int, was judging) {
	taken := w.taken
	w.run, w.taken = was.run, taken
	w.report = was.report
	w.report.Counts = append(w.report.Counts[:0], w.counts...)
	for i := range w.holes[:n] {
		w.holes[i].judged = false
	}
	for i := range w.records {
		w.records[i].dropped, w.records[i].shows = false, w.records[i].showed
	}
	w.judgings++
}

// carryCrowd keeps whom the records that are left ask about.
func (w *JSON) carryCrowd() {
	if w.people != nil {
		w.records[0].table = nil // the next window asks anew
	}
	if len(w.subjects) == 0 {
		return
	}
	var left []byte
	for i := range w.records {
		if r := &w.records[i]; r.subject[0] < r.subject[1] {
			start := len(left)
			left = append(left, w.subjects[r.subject[0]:r.subject[1]]...)
			r.subject = [2]int32{int32(start), int32(len(left))}
		}
	}
	w.subjects = append(emptied(w.subjects), left...)
}

func (c *crowd) forget() {
	c.subjects, c.counts = pooled(c.subjects), pooled(c.counts)
	c.ids, c.found, c.nth = pooled(c.ids), pooled(c.found), pooled(c.nth)
}
