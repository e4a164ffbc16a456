package rules

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-minimize/minimize/rules/detect"
	"golang.org/x/text/unicode/norm"
)

// Scope is what places and names mean in the messages of one operation. Immutable, safe for concurrent use.
type Scope struct {
	*vocabulary
	rules      *Ruleset
	places     *places
	records    []*Record
	further    int // slots for the second and further pointers of a record
	detectors  detect.Set
	kinds      []CategoryID // by detect.Kind
	undeclared bool
	broken     bool      // its selectors could not be compiled: everything is refused
	Cache      sync.Pool // for a body rewriter's memory of this scope's names
}

// Place is a position in a document, as far as selectors can tell positions apart. 0: no selector reaches here or below.
type Place uint32

// Name is what a member name means, wherever it stands. The zero Name is an unknown name.
type Name struct {
	step    uint32         // the literal in selectors; 0: none
	label   *Label         // what it declares inside any member; nil: nothing, or it depends
	keys    []uint32       // rows of keys, best first, where it depends on the member around
	within  []uint32       // what it is as the member around another
	inner   *Label         // what its last step declares, where it may be read as several: user[name]
	Context detect.Context // what it tells detectors about its value
	Data    []CategoryID   // the name itself is such data ("13800138000": {…})
}

// Around is the same for names that mean the same as the name of the member around another.
func (n *Name) Around() string {
	around := make([]byte, 0, 16)
	for _, id := range n.within {
		around = binary.BigEndian.AppendUint32(around, id)
	}
	return string(around)
}

// Label is what is declared of a value by its place or its name.
type Label struct {
	Category CategoryID // 0: undeclared
	Silent   bool       // declared to be none: no detector runs
	Text     bool       // free text: detectors run inside
	Least    int64      // a smaller number is blanked; 0: no lower bound
	Selector string     // as declared, for refusals and logs; never text of a body
	Field    *Field     // that declares it
	wary     bool       // by a document that holds warily
}

// Spot is what is declared for one place.
type Spot struct {
	Label  *Label // by `at`; nil: none
	Record int    // 1 + row in Records; 0: no record starts here
	Facts  []Slot // where this value answers a question about the record it stands in
	Signed bool   // what signs the body: nothing of it may change
	Paths  []Slot // where such an answer stands inside: if this value is there twice, nobody can tell which one counts
	record Selector
}

// Slot is one question of one record: its subject, its country, a field that a `when` asks for.
type Slot struct {
	Record int // row in Records
	Index  int // 0 <= Index < SlotCount
}

// The slots that every record has; those of the fields that `when` asks for follow, and then those of second and further
// pointers.
const (
	slotSubject = iota
	slotCountry
	slotBorn
	slotCreated
	slotFields
)

type keyRow struct {
	anywhere *Label
	inside   []insideLabel
}

type insideLabel struct {
	within uint32
	label  *Label
	base   bool // of the base pack
}

type wordLabel struct {
	word  []byte // folded
	ascii bool   // a whole token is asked for
	label *Label
}

// Root is the place of the document itself.
func (s *Scope) Root() Place { return s.places.root }

// Member is the place of the member with this name inside the object at p.
func (s *Scope) Member(p Place, n *Name) Place {
	if p == 0 {
		return 0
	}
	return s.places.member(p, n.step)
}

// Element is the place of the element with this index inside the array at p.
func (s *Scope) Element(p Place, index int) Place {
	if p == 0 {
		return 0
	}
	return s.places.element(p, index)
}

// Spot returns what is declared for p, or nil.
func (s *Scope) Spot(p Place) *Spot { return s.places.states[p].spot }

// StripsUndeclared reports whether what nothing is known of goes.
func (s *Scope) StripsUndeclared() bool { return s.undeclared }

// SlotCount is how many values a record gathers.
func (s *Scope) SlotCount() int { return slotFields + len(s.rules.fields) + s.further }

// Rules is the rule set that the scope belongs to.
func (s *Scope) Rules() *Ruleset { return s.rules }

// retains reports whether some record here is kept for a time only.
func (s *Scope) retains() bool {
	return slices.ContainsFunc(s.records, func(r *Record) bool { return r.Retain != "" })
}

// Hit is a part of a text that a detector recognised. Start and End are byte offsets.
type Hit struct {
	Start, End int
	Category   CategoryID
}

// Detect appends what detectors find in an unescaped string, in order, not overlapping.
func (s *Scope) Detect(dst []Hit, text []byte, c detect.Context) []Hit {
	if s.detectors == 0 || !detect.MayHold(text, c) {
		return dst
	}
	found := hits.Get().(*[]detect.Hit)
	*found = s.detectors.FindHeld((*found)[:0], text, c)
	for _, h := range *found {
		if id := s.kinds[h.Kind]; id != 0 {
			dst = append(dst, Hit{h.Start, h.End, id})
		}
	}
	hits.Put(found)
	return dst
}

// hits are places in texts, on their way from detectors to a caller's own list.
var hits = sync.Pool{New: func() any { return new([]detect.Hit) }}

// Detectors names the detectors that find a category here.
func (s *Scope) Detectors(c CategoryID) (names []string) {
	for kind, id := range s.kinds {
		if id == c && s.detectors&(1<<kind) != 0 {
			names = append(names, detect.Detectors[kind].Name)
		}
	}
	return names
}

// DetectNumber returns the category of a JSON number, in any spelling of it, or 0.
func (s *Scope) DetectNumber(literal []byte, c detect.Context) CategoryID {
	if kind, ok := s.detectors.Number(literal, c); ok {
		return s.kinds[kind]
	}
	return 0
}

// HasWords reports whether Words can answer anything.
func (s *Scope) HasWords() bool { return len(s.words) > 0 }

// Words appends the labels of the words that an unescaped text holds, a label once.
func (s *Scope) Words(dst []*Label, text []byte) []*Label {
	folded := foldText(text)
	for _, w := range s.words {
		if !slices.Contains(dst, w.label) && w.in(folded) {
			dst = append(dst, w.label)
		}
	}
	return dst
}

// foldText makes spellings of one word equal: NFKC takes away width and ligatures (Unicode TR 15), lower case the rest.
func foldText(text []byte) []byte { return bytes.ToLower(norm.NFKC.Bytes(text)) }

// in reports whether the text holds the word. A Latin word stands alone; Chinese has no such border.
func (w *wordLabel) in(text []byte) bool {
	for from := 0; ; {
		i := bytes.Index(text[from:], w.word)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(w.word)
		before, _ := utf8.DecodeLastRune(text[:start])
		after, _ := utf8.DecodeRune(text[end:])
		if !w.ascii || !isLatin(before) && !isLatin(after) {
			return true
		}
		from = start + 1
	}
}

func isLatin(r rune) bool { return unicode.Is(unicode.Latin, r) || unicode.IsDigit(r) }
