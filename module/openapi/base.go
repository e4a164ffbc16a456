package openapi

import (
	"strings"
	"sync"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/detect"
	"github.com/caddy-minimize/minimize/rules/packs"
)

// base is what every rule set knows of categories and names.
type base struct {
	categories map[rules.Category]*rules.CategoryRule
	rules      *rules.Ruleset
	scope      *rules.Scope
	anywhere   detect.Names // every declared name, also those that hold inside some members only, to their fields
	fields     []rules.Field
}

// basePack panics where the base pack is broken: then no rule set loads either, and its own test has failed before.
var basePack = sync.OnceValue(func() *base {
	d, err := rules.Parse("base.yaml", packs.Base())
	if err != nil {
		panic(err)
	}
	b := &base{categories: map[rules.Category]*rules.CategoryRule{}, fields: d.Fields}
	for i := range d.Categories {
		b.categories[d.Categories[i].Name] = &d.Categories[i]
	}
	for i, f := range d.Fields {
		for _, key := range f.Keys {
			b.anywhere.Add(detect.Fold([]byte(key)).String(), uint32(i))
		}
	}
	if b.rules, err = rules.Compile([]*rules.Document{{}}, rules.Options{}); err != nil {
		panic(err)
	}
	b.scope = b.rules.Scope("GET", "/")
	return b
})

// named is the category above open that a member's name stands for inside another member, or nil.
func (b *base) named(name, around string) *rules.CategoryRule {
	n := b.scope.Name([]byte(name))
	var in *rules.Name
	if around != "" {
		outer := b.scope.Name([]byte(around))
		in = &outer
	}
	label := b.scope.Key(&n, in)
	if name == "" || label == nil {
		return nil
	}
	c := b.categories[b.rules.Categories()[label.Category].Name]
	if c == nil || c.Grade == rules.Open {
		return nil
	}
	return c
}

// worst is the greatest grade that a member's name can stand for inside any other.
func (b *base) worst(name string) rules.Grade {
	worst := rules.Open
	for _, i := range b.anywhere.Find(nil, detect.Fold([]byte(name)), nil) {
		if c := b.categories[b.fields[i].Is]; c != nil {
			worst = max(worst, c.Grade)
		}
	}
	return worst
}

// maskOf is a category's own mask, or the nearest parent's.
func (b *base) maskOf(c rules.Category) string {
	for name := string(c); ; {
		if rule := b.categories[rules.Category(name)]; rule != nil && rule.Mask != "" {
			return rule.Mask
		}
		i := strings.LastIndexByte(name, '.')
		if i < 0 {
			return "all"
		}
		name = name[:i]
	}
}
