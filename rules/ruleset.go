package rules

import (
	"iter"
	"slices"
	"sync"

	"github.com/caddy-minimize/minimize/rules/mask"
)

// Ruleset is all documents compiled together: an immutable snapshot, safe for concurrent use.
type Ruleset struct {
	hash       string
	home       string
	zones      map[string][]string // the documents' own
	categories []CategoryInfo
	ids        map[Category]CategoryID
	documents  []*Document // the base pack first, and behind a document its routes
	operations *operationTree
	everywhere rows // the documents that hold for every operation
	roles      map[string]bool
	purposes   map[string]bool
	register   map[string]*Recipient
	allow      []*compiledRule
	limit      []*compiledRule
	tests      []Test          // of `when`, each once
	fields     []Selector      // of the tests that ask a record's field, each once
	most       int             // the greatest `over` of any limit
	lifting    map[string]bool // organisations that some limit's unless names
	keys       *KeyRing

	*caches
}

// caches are what is compiled when it is first asked for.
type caches struct {
	mu           sync.RWMutex
	scopes       map[string]*Scope      // by the documents that hold
	vocabularies map[string]*vocabulary // by the documents that hold and have names or words
	kinds        map[string]*kind
}

func newCaches() *caches {
	return &caches{scopes: map[string]*Scope{}, vocabularies: map[string]*vocabulary{}, kinds: map[string]*kind{}}
}

// rows is a set of rows, a bit each.
type rows []byte

func newRows(n int) rows { return make(rows, (n+7)/8) }

func (r rows) add(i int) { r[i/8] |= 1 << (i % 8) }

func (r rows) has(i int) bool { return r[i/8]&(1<<(i%8)) != 0 }

// newRows has room for what the documents say, and behind it for what they say warily.
func (r *Ruleset) newRows() rows { return newRows(2 * len(r.documents)) }

// holdingFor are the documents that hold for a request: as they are where they name it, and warily where a backend may take
// it for one that they name, if other methods count by any of them.
func (r *Ruleset) holdingFor(method, path string, anyMethod bool) rows {
	hold := slices.Clone(r.everywhere)
	r.operations.each(method, path, func(o operationAt, named bool) {
		switch {
		case named:
			hold.add(o.document)
		case anyMethod || o.isOf(method):
			hold.add(len(r.documents) + o.document)
		}
	})
	return hold
}

// holding are the documents of these rows, those that hold warily last.
func (r *Ruleset) holding(hold rows) iter.Seq2[int, *Document] {
	return func(yield func(int, *Document) bool) {
		for i := range 2 * len(r.documents) {
			d := r.documents[i%len(r.documents)]
			switch wary := i >= len(r.documents); {
			case !hold.has(i), wary && hold.has(i-len(r.documents)):
				continue
			case wary:
				d = r.warily(d)
			}
			if !yield(i, d) {
				return
			}
		}
	}
}

// warily is what a document says of a request that may be another one: nothing that shows more.
func (r *Ruleset) warily(d *Document) *Document {
	own := *d
	own.wary = true
	own.Fields = slices.DeleteFunc(slices.Clone(d.Fields), func(f Field) bool {
		return f.Is == None || r.categories[r.ids[f.Is]].Grade < Personal
	})
	return &own
}

// CategoryInfo is one row of a rule set's categories.
type CategoryInfo struct {
	Name  Category
	Grade Grade
	Text  bool // free text: detectors run inside
	spec  mask.Spec
	blank string
}

// Options are what the documents do not say.
type Options struct {
	Keys *KeyRing // for pseudonymize; nil: a rule that pseudonymizes is an error
}

// Hash is the SHA-256 of the documents, in hexadecimal: two gateways with the same rules show the same.
func (r *Ruleset) Hash() string { return r.hash }

// Home is the country or zone that the data is at home in; "" where no document says.
func (r *Ruleset) Home() string { return r.home }

// Categories returns every category by its CategoryID; row 0 is no category.
func (r *Ruleset) Categories() []CategoryInfo { return r.categories }

// ID is the row of a category; 0 where no document declares it.
func (r *Ruleset) ID(c Category) CategoryID { return r.ids[c] }

// KnowsRole reports whether a document declares the role. A caller's unknown roles count for nothing.
func (r *Ruleset) KnowsRole(role string) bool { return r.roles[role] }

// KnowsPurpose reports whether a document declares the purpose.
func (r *Ruleset) KnowsPurpose(purpose string) bool { return r.purposes[purpose] }

// KnowsRecipient reports whether the register has such an entry, or recipients are of such a kind.
func (r *Ruleset) KnowsRecipient(name string) bool {
	return r.register[name] != nil || slices.Contains(kindsOfRecipients, name)
}

// Recipient is the register's entry of this name, or nil.
func (r *Ruleset) Recipient(name string) *Recipient { return r.register[name] }

// AsksStore reports whether some rule asks for what nobody can tell without a store: a consent, or how many data subjects
// a caller has seen.
func (r *Ruleset) AsksStore() bool {
	asks := func(c *compiledRule) bool { return c.level > LevelNone || c.Over > 0 }
	return slices.ContainsFunc(r.allow, asks) || slices.ContainsFunc(r.limit, asks)
}

// KnowsCase reports whether a rule asks for such a kind of case.
func (r *Ruleset) KnowsCase(kind string) bool {
	asks := func(c *compiledRule) bool { return c.Case == kind || c.Unless != nil && c.Unless.Case == kind }
	return kind != "" && (slices.ContainsFunc(r.allow, asks) || slices.ContainsFunc(r.limit, asks))
}

// GPC are the purposes that Sec-GPC: 1 objects to.
func (r *Ruleset) GPC() []string {
	var names []string
	for _, d := range r.documents {
		for _, w := range d.GPC {
			names = append(names, w.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Policy is the newest policy version that a document says is in force; 0 where none does.
func (r *Ruleset) Policy() int {
	newest := 0
	for _, d := range r.documents {
		newest = max(newest, d.Policy)
	}
	return newest
}
