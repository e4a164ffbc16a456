package body

import "github.com/caddy-minimize/minimize/rules"

// Observer is told what was decided of each value, in the body's order, when it is final: after the last byte, or when the
// body is refused. What stands in a container that goes as a whole is not told of.
type Observer func(*Judged)

// Judged is what was decided of one value.
type Judged struct {
	Start, End  int64            // in the body; of a value inside a text, in that text unescaped
	Whole       bool             // it is a container that goes as a whole
	Label       *rules.Label     // what declares it; nil: nothing does
	Inherited   bool             // by a container around it
	Category    rules.CategoryID // that decided; 0: undeclared, or declared to be none
	Decision    *rules.Decision  // nil: nobody was asked
	Action      rules.Action     // may be stricter than the decision's: for a name that is data, or a number below `least`
	Parts       []Part           // what is recognised in it
	Inside      []*Judged        // the values of a document that it holds
	Left        []byte           // what is written of it; nil: nothing
	Record      *rules.Record    // whose it is; nil: the message's
	RecordStart int64            // where that record starts
	Dropped     bool             // a record starts here, and goes out of its list
	Facts       rules.Facts      // that it was decided by
}

// Part is what detectors, words and names find in a value.
type Part struct {
	Found    Found
	Category rules.CategoryID
	Label    *rules.Label // of a word or a name
	Decision *rules.Decision
}

// Found says by what a part was recognised.
type Found uint8

// What recognises a part.
const (
	ByDetector Found = iota
	ByWord
	ByName    // that a text gives a value to: a parameter, a line of a log
	ByOwnName // the member's name is such data itself
)

// Observe has every decision told, from now on; it is to be called before anything is written. The body is rewritten as it
// would be without, only slower.
func (w *JSON) Observe(o Observer) {
	w.observer = o
	w.calm, w.detects = false, true // also what surely stays is looked at
	for d := range w.depth + 1 {
		w.frames[d].settle(w)
	}
}

// tell tells of the first n holes, which were judged, or would have been had the body not been refused.
func (w *JSON) tell(n int) {
	for k := 0; k < n; {
		h := &w.holes[k]
		k++
		if h.kind == comma || h.kind == arrayEnd || h.kind == gone {
			continue
		}
		if !h.judged {
			w.judgeOpen(h)
		}
		h.needPath()
		w.observer(w.judgedOf(h))
		if (h.container() || h.kind == file || h.kind == giant) && h.taken() {
			k = h.after(n)
		}
	}
}

// judgedOf is what was decided of a hole.
func (w *JSON) judgedOf(h *hole) *Judged {
	j := &Judged{
		Start: w.base + int64(h.start), End: w.base + int64(h.end), Whole: h.container() && h.taken(),
		Label: h.label, Inherited: h.inherited, Category: h.category, Decision: h.by, Action: h.action,
		Dropped: h.starts != 0 && w.records[h.starts].dropped,
	}
	if h.end == open {
		j.End = j.Start
	}
	if r := &w.records[h.record]; h.record > 0 {
		j.Record, j.RecordStart = w.judge.Record(int(r.row)), w.base+int64(r.start)
	}
	if table := w.tableOf(h.record); table != nil {
		j.Facts = table.Facts()
	}
	w.tellParts(h, j)
	if h.inside == nestedJSON && h.kind != giant {
		j.Inside = w.tellInside(h)
	}
	if h.action < rules.Strip && (!h.container() || h.taken()) {
		j.Left = w.left(h)
	}
	return j
}

func (w *JSON) tellParts(h *hole, j *Judged) {
	add := func(f Found, c rules.CategoryID, label *rules.Label) {
		j.Parts = append(j.Parts, Part{f, c, label, w.decide(h.record, c)})
	}
	if !h.covered && (h.inside == flat || h.kind == giant) {
		for _, hit := range w.hits[h.hits:h.hitsEnd] {
			add(ByDetector, hit.Category, nil)
		}
	}
	for _, label := range w.words[h.words:h.wordsEnd] {
		add(ByWord, label.Category, label)
	}
	for _, c := range h.data {
		add(ByOwnName, c, nil)
	}
	if h.nested == flat || h.kind == giant || h.inside == nestedJSON {
		return
	}
	text := w.unescaped(h)
	if table := w.tableOf(h.record); h.inside == nestedQuery && table != nil {
		q := query{tell: func(p Part) { j.Parts = append(j.Parts, p) }}
		q.rewrite(w, text, table)
		return
	}
	for _, label := range w.assigned(nil, text) {
		add(ByName, label.Category, label)
	}
}

// tellInside reads the document in a text once more, and is told of its values.
func (w *JSON) tellInside(h *hole) (inside []*Judged) {
	table := w.tableOf(h.record)
	if table == nil {
		return nil
	}
	w.telling = func(j *Judged) { inside = append(inside, j) }
	_ = w.readNested(h, w.unescaped(h), table) // what was wrong with it was decided already
	w.telling = nil
	return inside
}

// left is what is written of a value.
func (w *JSON) left(h *hole) []byte {
	out := w.out
	w.out = nil
	w.copyTo(w.write(h, h.start, h.end), h.end)
	left := w.out
	w.out = out
	return left
}
