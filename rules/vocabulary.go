package rules

import (
	"slices"
	"unicode/utf8"

	"github.com/caddy-minimize/minimize/rules/detect"
)

// vocabulary is what names and words mean, wherever they stand. Operations share one where they can: it takes a hundred
// times as long to build as the places of an operation.
type vocabulary struct {
	names  *detect.Names // declared names, to rows of keys
	keys   []keyRow
	within *detect.Names // names that `in` asks for, to their ids
	words  []wordLabel
}

// vocabularyOf returns that of the documents that hold.
func (r *Ruleset) vocabularyOf(hold rows) *vocabulary {
	key := r.newRows()
	for i, d := range r.holding(hold) {
		if slices.ContainsFunc(d.Fields, func(f Field) bool { return f.At == nil }) {
			key.add(i)
		}
	}
	r.mu.RLock()
	v := r.vocabularies[string(key)]
	r.mu.RUnlock()
	if v != nil {
		return v
	}
	made := r.newVocabulary(key) // it takes milliseconds, and nobody else should wait for them
	r.mu.Lock()
	defer r.mu.Unlock()
	if v = r.vocabularies[string(key)]; v == nil {
		v = made
		r.vocabularies[string(key)] = v
	}
	return v
}

func (r *Ruleset) newVocabulary(documents rows) *vocabulary {
	b := &vocabularyBuilder{
		vocabulary: &vocabulary{names: &detect.Names{}, within: &detect.Names{}},
		rules:      r, rows: map[string]uint32{}, ins: map[string]uint32{},
	}
	for i, d := range r.holding(documents) {
		b.wary = d.wary
		for k := range d.Fields {
			if f := &d.Fields[k]; f.At == nil {
				b.add(f, i == 0)
			}
		}
	}
	return b.vocabulary
}

type vocabularyBuilder struct {
	*vocabulary
	rules *Ruleset
	rows  map[string]uint32 // of keys, by folded name
	ins   map[string]uint32 // ids in within, by folded name
	wary  bool              // what is added may not say less than what is there
}

func (b *vocabularyBuilder) add(f *Field, base bool) {
	label := b.rules.labelOf(f)
	for _, key := range f.Keys {
		b.addKey(key, f.In, label, base)
	}
	label.Selector = "words"
	for _, w := range f.Words {
		folded := foldText([]byte(w))
		first, _ := utf8.DecodeRune(folded)
		b.words = append(b.words, wordLabel{folded, isLatin(first), label})
	}
}

func (b *vocabularyBuilder) addKey(key string, in []string, label *Label, base bool) {
	folded := foldedKey(key)
	row, ok := b.rows[folded]
	if !ok {
		row = uint32(len(b.keys))
		b.rows[folded] = row
		b.keys = append(b.keys, keyRow{})
		b.names.Add(folded, row)
	}
	own := *label
	own.Selector = key
	if there := b.keys[row].anywhere; there != nil && len(in) == 0 && (base || b.wary && !b.rules.moreHarmful(&own, there)) {
		return
	}
	if len(in) == 0 {
		// What a document says of a name everywhere goes before what the base pack says of it inside some members.
		b.keys[row] = keyRow{&own, slices.DeleteFunc(b.keys[row].inside, func(l insideLabel) bool { return l.base && !base && !b.wary })}
		return
	}
	for _, name := range in {
		folded := foldedKey(name)
		id, ok := b.ins[folded]
		if !ok {
			id = uint32(len(b.ins) + 1)
			b.ins[folded] = id
			b.within.Add(folded, id)
		}
		label := insideLabel{id, &own, base}
		if i := slices.IndexFunc(b.keys[row].inside, func(l insideLabel) bool { return l.within == id }); b.wary && i >= 0 && !b.rules.moreHarmful(&own, b.keys[row].inside[i].label) {
			continue
		}
		// A document's word goes before the base pack's, which was added first.
		b.keys[row].inside = slices.Insert(b.keys[row].inside, 0, label)
	}
}
