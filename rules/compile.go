package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/caddy-minimize/minimize/rules/detect"
	"github.com/caddy-minimize/minimize/rules/mask"
	"github.com/caddy-minimize/minimize/rules/packs"
)

// basePack is the document that recognises what every platform has.
var basePack = sync.OnceValues(func() (*Document, error) { return Parse("base.yaml", packs.Base()) })

// Compile checks what the documents say together and makes one rule set of them. Its error is Errors, all of them.
func Compile(docs []*Document, o Options) (*Ruleset, error) {
	base, err := basePack()
	if err != nil {
		return nil, fmt.Errorf("reading the base pack: %w", err)
	}
	return compile(base, docs, o)
}

func compile(base *Document, docs []*Document, o Options) (*Ruleset, error) {
	if len(docs) == 0 {
		return nil, Errors{{Pos{File: "rules"}, "there is no rule document: nothing could be disclosed; name at least one file"}}
	}
	c := &compiler{
		Ruleset: &Ruleset{
			documents: withRoutes(append([]*Document{base}, docs...)),
			ids:       map[Category]CategoryID{},
			roles:     map[string]bool{},
			purposes:  map[string]bool{},
			zones:     map[string][]string{},
			lifting:   map[string]bool{},
			keys:      o.Keys,
			caches:    newCaches(),
		},
		names: map[string]Pos{},
	}
	c.compileZones()
	c.compileHome()
	c.compileCategories()
	c.compileNames()
	c.compileRules()
	c.compileFields()
	c.compileScopes()
	if err := c.errs.Err(); err != nil {
		return nil, err
	}
	c.hash = hashOf(docs, base)
	return c.Ruleset, nil
}

// withRoutes lists what a document says of its routes as documents of their own, behind it.
func withRoutes(docs []*Document) []*Document {
	var all []*Document
	for _, d := range docs {
		all = append(append(all, d), d.Routes...)
	}
	return all
}

type compiler struct {
	*Ruleset
	errs  Errors
	names map[string]Pos // every id of a rule
}

func (c *compiler) errorf(pos Pos, format string, args ...any) {
	c.errs = append(c.errs, &Error{pos, fmt.Sprintf(format, args...)})
}

// hashOf is the same for the same documents in any order.
func hashOf(docs []*Document, base *Document) string {
	sums := [][]byte{base.Sum[:]}
	for _, d := range docs {
		sums = append(sums, d.Sum[:])
	}
	slices.SortFunc(sums, func(a, b []byte) int { return strings.Compare(string(a), string(b)) })
	sum := sha256.Sum256(slices.Concat(sums...))
	return hex.EncodeToString(sum[:])
}

// compileHome finds the home of all documents. Of a zone and a country in it the country counts: what leaves it leaves home.
func (c *compiler) compileHome() {
	var at *Document
	for _, d := range c.documents {
		switch {
		case d.Home == "" || at != nil && c.Within(d.Home, c.home):
		case at == nil || c.Within(c.home, d.Home):
			at, c.home = d, d.Home
		default:
			c.errorf(d.Pos, "home contradicts the one in %s: one gateway's documents share one home", at.Pos.File)
		}
	}
}

func (c *compiler) compileCategories() {
	c.categories = []CategoryInfo{{}}
	declared := map[Category]CategoryRule{}
	for _, d := range c.documents {
		for _, rule := range d.Categories {
			first, known := declared[rule.Name]
			switch {
			case known && (first.Grade != rule.Grade || first.Mask != rule.Mask || first.Blank != rule.Blank || first.Text != rule.Text):
				c.errorf(rule.Pos, "category %s is declared differently at %s", rule.Name, first.Pos)
			case !known:
				if _, err := ParseGrade(string(rule.Name)); err == nil || rule.Name == None {
					c.errorf(rule.Pos, "category %s is named like a grade or a keyword: choose another name", rule.Name)
				}
				declared[rule.Name] = rule
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		rule := declared[name]
		info := CategoryInfo{Name: name, Grade: rule.Grade, Text: rule.Text, blank: rule.Blank, spec: c.specOf(rule, declared)}
		c.ids[name] = CategoryID(len(c.categories))
		c.categories = append(c.categories, info)
	}
}

// specOf is a category's own mask or the nearest parent's; without one nothing is shown.
func (c *compiler) specOf(rule CategoryRule, declared map[Category]CategoryRule) mask.Spec {
	text := rule.Mask
	for name := rule.Name; text == ""; {
		i := strings.LastIndexByte(string(name), '.')
		if i < 0 {
			text = "all"
			break
		}
		name = name[:i]
		text = declared[name].Mask
	}
	spec, err := mask.Parse(text)
	if err != nil {
		c.errorf(rule.Pos, "category %s: %v", rule.Name, err)
	}
	return spec
}

// kindsOfRecipients may stand in `to` like a recipient's name.
var kindsOfRecipients = []string{"own", "affiliate", "processor", "successor", "authority", "public", "contacts", "third_party"}

var keywords = append([]string{Anonymous, Self, Guardian, Us, Any, "none"}, kindsOfRecipients...)

func (c *compiler) compileNames() {
	for _, d := range c.documents {
		for _, w := range d.Roles {
			c.checkName("role", w)
			c.roles[w.Name] = true
		}
		for _, w := range d.Purposes {
			c.purposes[w.Name] = true
		}
	}
	c.register = registerOf(c.documents)
	for _, d := range c.documents {
		for i := range d.Recipients {
			r := &d.Recipients[i]
			c.checkName("recipient", Word{r.Pos, r.Name})
			if c.roles[r.Name] {
				c.errorf(r.Pos, "%s is a role and a recipient: in `to` nobody could tell which", r.Name)
			}
			if entry := c.register[r.Name]; r.Kind != "" && entry.Pos != r.Pos {
				c.errorf(r.Pos, "recipient %s is registered at %s already", r.Name, entry.Pos)
			}
		}
	}
	c.checkReached()
	for _, d := range c.documents {
		for i := range d.Recipients {
			c.checkPurposes(d.Recipients[i].Purposes)
			if r, policy := &d.Recipients[i], c.Policy(); policy > 0 && r.Since > policy {
				c.errorf(r.Pos, "recipient %s can never get anything: it wants the policy version %d, and %d is in force", r.Name, r.Since, policy)
			}
			if t := d.Recipients[i].Transfer; t != nil {
				c.checkCategories(t.Categories)
			}
		}
		c.checkPurposes(d.GPC)
	}
}

// checkReached finds what a document says without effect of the recipients of another.
func (c *compiler) checkReached() {
	said := map[string]Pos{}
	for _, d := range c.documents {
		for _, r := range d.Recipients {
			switch first := said[r.Name]; {
			case r.Kind != "":
			case c.register[r.Name] == nil:
				c.errorf(r.Pos, "recipient %s is registered nowhere: it needs a `kind`", r.Name)
			case first.Line > 0:
				c.errorf(r.Pos, "how recipient %s is reached stands at %s already", r.Name, first)
			default:
				said[r.Name] = r.Pos
			}
		}
	}
}

func (c *compiler) checkName(what string, w Word) {
	if slices.Contains(keywords, w.Name) {
		c.errorf(w.Pos, "%s %s has the name of a keyword: choose another", what, w.Name)
	}
}

func (c *compiler) checkPurposes(words []Word) {
	for _, w := range words {
		if !c.purposes[w.Name] {
			c.errorf(w.Pos, "purpose %s is not declared: add it to `purposes`%s", w.Name, suggest(w.Name, slices.Sorted(maps.Keys(c.purposes))))
		}
	}
}

func (c *compiler) checkCategories(words []Word) {
	for _, w := range words {
		c.checkCategory(w.Pos, w.Name)
	}
}

// checkCategory reports a name that is no grade, no category and no parent of one.
func (c *compiler) checkCategory(pos Pos, name string) bool {
	if _, err := ParseGrade(name); err == nil {
		return true
	}
	for known := range c.ids {
		if Category(name).Contains(known) {
			return true
		}
	}
	c.errorf(pos, "category %s is not known: declare it under `categories`%s", name, suggest(name, c.categoryNames()))
	return false
}

func (c *compiler) categoryNames() []string {
	names := make([]string, len(c.categories))
	for i := range names {
		names[i] = string(c.categories[i].Name)
	}
	return names
}

// compileScopes finds now what would break a scope later: values, detectors, selectors. Each document is compiled with
// those that hold for everything; every other combination is compiled when a request first needs it.
func (c *compiler) compileScopes() {
	for _, d := range c.documents {
		for _, w := range d.Values {
			if _, ok := detect.ParseName(w.Name); !ok {
				c.errorf(w.Pos, "detector %s is not known: one of %s", w.Name, strings.Join(detect.AllNames(), ", "))
			}
		}
	}
	if len(c.errs) > 0 {
		return
	}
	c.operations, c.everywhere = newOperationTree(c.documents), c.newRows()
	for i, d := range c.documents {
		if len(d.Operations) == 0 {
			c.everywhere.add(i)
		}
	}
	for i, d := range c.documents {
		hold := slices.Clone(c.everywhere)
		hold.add(i)
		if c.scopes[string(hold)] != nil {
			continue
		}
		made, err := c.newScope(hold)
		if err != nil {
			c.errorf(d.Pos, "%v", err)
		}
		c.scopes[string(hold)] = made
	}
}

// Scope returns what the documents say that hold for a request: its method, and its cleaned path as the client sent it.
func (r *Ruleset) Scope(method, path string) *Scope {
	return r.scopeOf(r.holdingFor(method, path, false))
}

// AnswerScope returns what the documents say that hold for our own backend's answer, which may be that to another method.
func (r *Ruleset) AnswerScope(method, path string) *Scope {
	return r.scopeOf(r.holdingFor(method, path, true))
}

// ScopeFor returns the one of both that a disclosure is judged by.
func (r *Ruleset) ScopeFor(d *Disclosure, method, path string) *Scope {
	if d.Position == Response {
		return r.AnswerScope(method, path)
	}
	return r.Scope(method, path)
}

func (r *Ruleset) scopeOf(key rows) *Scope {
	r.mu.RLock()
	s := r.scopes[string(key)]
	r.mu.RUnlock()
	if s != nil {
		return s
	}
	made, _ := r.newScope(key) // by a scope that cannot be built everything is refused
	r.mu.Lock()
	defer r.mu.Unlock()
	if s = r.scopes[string(key)]; s == nil {
		s = made
		r.scopes[string(key)] = s
	}
	return s
}
