package openapi

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/packs"
)

// The extensions that say what a field is: https://spec.openapis.org/registry/extension/.
const (
	classification = "x-data-classification"
	sensitiveData  = "x-sensitive-data"
)

// note is an annotation: what a field is, as far as it is written there.
type note struct {
	node   *yaml.Node
	word   string         // of the registry; "": a category of ours
	is     rules.Category // without what the field's name adds
	least  rules.Grade    // the grade that it has at least; Open: that of its category
	shown  edges          // what a mask may show at most
	masked bool           // shown counts
}

// edges are how many first and last characters a mask shows.
type edges struct{ first, last int }

// noteOf reads the annotation of a Schema, Parameter or Header Object, or nil.
func (t *tree) noteOf(n *yaml.Node) *note {
	class, data := t.get(n, classification), t.get(n, sensitiveData)
	switch {
	case class == nil && data == nil:
		return nil
	case class == nil:
		return t.sensitive(data)
	}
	c := t.classification(class)
	if c != nil && data != nil && t.sensitive(data).masked {
		c.masked, c.shown = true, edges{}
	}
	return c
}

func (t *tree) classification(n *yaml.Node) *note {
	if n.Kind != yaml.MappingNode {
		t.fail(n, "want %s as key: value pairs: {category: contact, masking: {strategy: full}}", classification)
		return nil
	}
	c := &note{node: n}
	for name, value := range pairs(n) {
		switch name.Value {
		case "category":
			t.category(c, value)
		case "sensitivity":
			if grade, ok := meaning(packs.Sensitivities, value.Value); ok {
				c.least, _ = rules.ParseGrade(grade)
				continue
			}
			t.fail(value, "this is no sensitivity (want %s)", words(packs.Sensitivities))
		case "masking":
			t.masking(c, value)
		default:
			if !strings.HasPrefix(name.Value, "x-") {
				t.fail(name, "%s has category, sensitivity and masking, and nothing of this name", classification)
			}
		}
	}
	if c.is == "" && t.get(n, "category") == nil {
		t.fail(n, "%s needs a category: %s, or one of the rules', such as contact.phone", classification, words(packs.Categories))
	}
	own := c.is != "" && c.is != rules.None && basePack().categories[c.is] == nil
	if own && (t.get(n, "sensitivity") != nil || t.get(n, "masking") != nil) {
		t.fail(n, "this category is declared in a rule document, which says its grade and its mask: leave out what else stands here")
	}
	return c
}

// ownCategory is how a category of the rules is written.
var ownCategory = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)*$`)

// category reads a word of the registry, or a category of ours, which is taken as it is.
func (t *tree) category(c *note, n *yaml.Node) {
	if is, ok := meaning(packs.Categories, n.Value); ok {
		c.word, c.is = n.Value, rules.Category(is)
		return
	}
	c.is = rules.Category(n.Value)
	dotted := ownCategory.MatchString(n.Value) && (strings.Contains(n.Value, ".") || c.is == rules.None || basePack().categories[c.is] != nil)
	if n.Kind != yaml.ScalarNode || !dotted {
		c.is = ""
		t.fail(n, "this is no category: want %s, or one of the rules', such as contact.phone", words(packs.Categories))
	}
}

// masking reads what the registry has for a value that is shown in part. It never lets anything be shown: whether a value
// is masked is for the rules to say.
func (t *tree) masking(c *note, n *yaml.Node) {
	strategy := t.get(n, "strategy")
	if strategy == nil {
		t.fail(n, "want masking with a strategy: {strategy: full}")
		return
	}
	switch strategy.Value {
	case "full", "remove", "hash", "tokenize", "regex":
		// A hash without a key names whoever is guessed, and what an expression leaves is not known before it was used.
		c.masked = true
	case "partial":
		c.masked = true
		c.shown = t.keep(n)
	default:
		t.fail(strategy, "this is no strategy of masking (want full, partial, regex, hash, remove, tokenize)")
	}
}

var keepEdge = regexp.MustCompile(`^(first|last)-([0-9]{1,2})$`)

func (t *tree) keep(n *yaml.Node) edges {
	keep := t.get(n, "keep")
	if keep == nil {
		return edges{}
	}
	m := keepEdge.FindStringSubmatch(keep.Value)
	if m == nil {
		t.fail(keep, "`keep` is how much a partial mask shows: last-4, or first-1")
		return edges{}
	}
	count, _ := strconv.Atoi(m[2])
	if m[1] == "first" {
		return edges{first: count}
	}
	return edges{last: count}
}

// sensitive reads x-sensitive-data, which says that something is sensitive and not what.
func (t *tree) sensitive(n *yaml.Node) *note {
	other, _ := meaning(packs.Categories, "other")
	c := &note{node: n, word: "other", is: rules.Category(other), masked: true}
	switch mask := t.get(n, "mask"); {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!bool" && n.Value == "true": // before it was registered
		c.masked = false
	case mask == nil || !slices.Contains([]string{"full", "regex", "hash", "remove"}, mask.Value):
		t.fail(n, "want %s with a mask: {mask: full} (or regex, hash, remove)", sensitiveData)
	}
	return c
}

func meaning(table []packs.Classification, word string) (string, bool) {
	for _, c := range table {
		if c.Word == word {
			return c.Means, true
		}
	}
	return "", false
}

func words(table []packs.Classification) string {
	all := make([]string, len(table))
	for i, c := range table {
		all[i] = c.Word
	}
	return strings.Join(all, ", ")
}

// categoryOf is what a field with this note and these names around it is: the note's category, or what the field's name says
// more exactly, as long as that is no less harmful. Made is a category of its own for it, where the note lowers.
func (c *note) categoryOf(name, around string) (is rules.Category, made *rules.CategoryRule) {
	base := basePack()
	is = c.is
	if c.word != "" {
		if named := base.named(name, around); named != nil && named.Grade >= base.categories[is].Grade {
			is = named.Name
		}
	}
	from := base.categories[is]
	if from == nil {
		return is, nil
	}
	to := *from
	if c.least > from.Grade {
		to.Grade = c.least
		to.Name += rules.Category("." + gradeWord(c.least))
	}
	if mask, ok := c.mask(base.maskOf(is)); ok {
		to.Mask = mask
		to.Name += maskWord(mask)
	}
	if to.Name == is {
		return is, nil
	}
	return to.Name, &to
}

// shownBy is how many characters masks show that show first or last ones. Others show none of both.
var shownBy = map[string]edges{"id": {1, 1}, "name": {1, 0}, "phone": {3, 4}, "card": {0, 4}}

// mask is what shows no more than the category's own mask, and no more than the note lets it; ok is false where that is the
// category's own.
func (c *note) mask(own string) (string, bool) {
	most := shownBy[own]
	least := edges{min(most.first, c.shown.first), min(most.last, c.shown.last)}
	switch {
	case !c.masked || own == "all" || least == most && least != edges{}:
		return "", false
	case least == edges{}:
		return "all", true
	}
	return strconv.Itoa(least.first) + "+" + strconv.Itoa(least.last), true
}

// maskWord names a category by its own mask, as the registry does.
func maskWord(mask string) rules.Category {
	if mask == "all" {
		return ".hidden"
	}
	first, last, _ := strings.Cut(mask, "+")
	if first == "0" {
		return rules.Category(".last_" + last)
	}
	return rules.Category(".first_" + first)
}

func gradeWord(g rules.Grade) string {
	for _, c := range packs.Sensitivities {
		if c.Means == g.String() {
			return c.Word
		}
	}
	return g.String()
}

// made are categories that notes made, each once.
type made map[rules.Category]*rules.CategoryRule

func (m made) all(at rules.Pos) []rules.CategoryRule {
	var all []rules.CategoryRule
	for _, name := range slices.Sorted(maps.Keys(m)) {
		rule := *m[name]
		rule.Pos = at
		all = append(all, rule)
	}
	return all
}
