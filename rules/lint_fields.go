package rules

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// lintCategories finds categories that nobody may ever see without a rule that means it, and those that nothing is.
func (l *linter) lintCategories() {
	named := map[Category]Pos{} // where a document speaks of it first
	is := map[Category]bool{}
	for _, d := range l.own() {
		for _, c := range d.Categories {
			named[c.Name] = firstOf(named, c.Name, c.Pos)
		}
		for _, f := range d.Fields {
			if is[f.Is] = true; f.Is != None {
				named[f.Is] = firstOf(named, f.Is, f.Pos)
			}
		}
	}
	for name, pos := range named {
		switch {
		case l.declaresOnly(name, is):
			l.report(pos, lintUnused, SeverityWarning, "no field is %s, so that no rule about it ever acts: declare under `fields` where it stands", name)
		case len(l.allow) > 0 && !l.isSeen(name):
			l.report(pos, lintUnseen, SeverityWarning,
				"nobody may ever see %s, and no rule says so: name it in an `allow`, under `strip` if it is meant, or leave it undeclared", name)
		}
	}
}

func firstOf(named map[Category]Pos, name Category, pos Pos) Pos {
	if first, ok := named[name]; ok {
		return first
	}
	return pos
}

// declaresOnly reports whether a category of one's own is neither of a field nor the parent of another.
func (l *linter) declaresOnly(name Category, is map[Category]bool) bool {
	if is[name] || slices.ContainsFunc(l.documents[0].Categories, func(c CategoryRule) bool { return c.Name == name }) {
		return false
	}
	for other := range l.ids {
		if other != name && name.Contains(other) {
			return false
		}
	}
	return true
}

// isSeen reports whether a category is somebody's to see, or some rule, or the gateway itself, withholds it on purpose.
func (l *linter) isSeen(name Category) bool {
	id := l.ids[name]
	if l.categories[id].Grade == Open || AuthToken.Contains(name) {
		return true
	}
	for _, b := range builtin {
		if b.category.Contains(name) {
			return true
		}
	}
	permits := func(c *compiledRule) bool { return c.named[id] && c.acts[id] < Strip }
	speaks := func(c *compiledRule) bool {
		return slices.ContainsFunc(c.Acts, func(a Act) bool { return Category(a.Name).Contains(name) || name.Contains(Category(a.Name)) })
	}
	return slices.ContainsFunc(l.allow, permits) || slices.ContainsFunc(l.allow, speaks) || slices.ContainsFunc(l.limit, speaks)
}

// generic names stand for something else in every document: a declaration of one holds at any depth, with anything in
// front of it.
var generic = strings.Fields(`id name value data code type key no number num text info item content status date time desc description
	result list object title label tag image url link detail message subject field param index count 名称 编号 值 数据 类型 代码`)

// shapeOnly are the detectors that know digits by how many there are and how they begin: no check digit tells chance apart.
var shapeOnly = []string{"phone", "imsi", "ip"}

// lintFields finds declarations that take too much, or let through what looks like personal data.
func (l *linter) lintFields() {
	first := l.newRows()
	first.add(0)
	base, _ := l.newScope(first) // it compiled before
	for _, d := range l.own() {
		l.lintValues(d)
		for i := range d.Fields {
			l.lintField(base, &d.Fields[i])
		}
	}
}

// lintValues finds detectors that know a number by its shape, where the document speaks of ordinary numbers of that shape.
func (l *linter) lintValues(d *Document) {
	ordinary := slices.IndexFunc(d.Fields, func(f Field) bool { return Category("order.number").Contains(f.Is) })
	if ordinary < 0 {
		return
	}
	for _, w := range d.Values {
		if slices.Contains(shapeOnly, w.Name) {
			l.report(w.Pos, lintWide, SeverityNote, "the detector %s knows numbers by their shape alone, and order numbers (line %d) may have it: "+
				"declare every place or name of such numbers, or where the %s stands", w.Name, d.Fields[ordinary].Pos.Line, w.Name)
		}
	}
}

func (l *linter) lintField(base *Scope, f *Field) {
	for _, w := range f.Words {
		if isShort(w) {
			l.report(f.Pos, lintWide, SeverityWarning, "the word %q stands in very many texts, and each of them is %s then: take a longer one", w, f.Is)
		}
	}
	if f.Is == None || l.categories[l.ids[f.Is]].Grade == Open {
		l.lintSilenced(base, f)
		return
	}
	for _, key := range f.Keys {
		folded := foldedKey(key)
		meaning := base.Name([]byte(key))
		known := base.Key(&meaning, nil)
		if len(f.In) == 0 && (slices.Contains(generic, folded) || utf8.RuneCountInString(folded) == 1 && isLatinText(folded)) &&
			(known == nil || known.Category != l.ids[f.Is]) {
			l.report(f.Pos, lintWide, SeverityWarning, "the key %s holds at any depth and behind any other word, so that very much is %s: "+
				"say where with `at`, or inside what with `in`", key, f.Is)
		}
	}
}

// lintSilenced finds what the base pack would protect and a document declares to be nothing.
func (l *linter) lintSilenced(base *Scope, f *Field) {
	if f.Keys != nil && f.In != nil {
		return // as narrow as a place
	}
	names := f.Keys
	var around *Name
	if f.At != nil {
		named := slices.DeleteFunc(slices.Clone(f.At), func(s Step) bool { return s.Kind != StepName })
		if len(f.At) == 0 || f.At[len(f.At)-1].Kind != StepName {
			return
		}
		names = []string{named[len(named)-1].Name}
		if len(named) > 1 {
			in := base.Name([]byte(named[len(named)-2].Name))
			around = &in
		}
	}
	for _, name := range names {
		meaning := base.Name([]byte(name))
		label := base.Key(&meaning, around)
		if label == nil || slices.Contains(generic, foldedKey(name)) || l.categories[label.Category].Grade < Personal {
			continue
		}
		l.report(f.Pos, lintUncovered, SeverityWarning, "%s looks like %s, and `is: %s` lets it out to everybody: declare what it is, or say why it is none",
			name, l.categories[label.Category].Name, f.Is)
	}
}

// isShort reports whether a word is one or two Latin letters, or a single character of another script.
func isShort(word string) bool {
	if isLatinText(word) {
		return utf8.RuneCountInString(word) <= 2
	}
	return utf8.RuneCountInString(word) == 1
}

func isLatinText(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !isLatin(r) || unicode.IsSpace(r) })
}

// lintWords finds roles and purposes that no rule speaks of. Where a rule is for data subjects themselves, any role may be
// theirs.
func (l *linter) lintWords() {
	used := map[string]bool{}
	use := func(lists ...[]Word) {
		for _, words := range lists {
			for _, w := range words {
				used[w.Name] = true
			}
		}
	}
	for _, role := range l.roles {
		used[role] = true
	}
	for _, d := range l.own() {
		use(d.GPC)
		for _, r := range d.Recipients {
			use(r.Purposes)
		}
		for _, rule := range slices.Concat(d.Allow, d.Limit) {
			use(rule.To, rule.From, rule.For)
			if rule.Unless != nil {
				use(rule.Unless.Purpose)
			}
		}
	}
	for _, d := range l.own() {
		for _, w := range d.Roles {
			if len(l.allow) > 0 && !used[w.Name] && !used[Self] && !used[Guardian] {
				l.report(w.Pos, lintUnused, SeverityNote, "no rule speaks of the role %s, so it gets nothing above open: write one, or take it out", w.Name)
			}
		}
		for _, w := range d.Purposes {
			if len(l.allow) > 0 && !used[w.Name] {
				l.report(w.Pos, lintUnused, SeverityWarning, "no rule is for the purpose %s, so whoever asks for it gets nothing above open: write one, or take it out", w.Name)
			}
		}
	}
}
