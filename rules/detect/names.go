package detect

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
)

// Names finds declared names in the names of a body. Build it with Add; after that it is safe for concurrent use.
type Names struct {
	ids     map[string][]uint32 // by the tokens of a declared name, joined
	lengths [256]uint64         // by a joined name's first byte: its lengths, as a bit set
}

// Add declares a name by its tokens, joined. Several may share an id, and one name may have several ids.
func (n *Names) Add(joined string, id uint32) {
	if joined == "" {
		return
	}
	if n.ids == nil {
		n.ids = map[string][]uint32{}
	}
	n.ids[joined] = append(n.ids[joined], id)
	n.lengths[joined[0]] |= lengthBit(len(joined))
}

// lengthBit has one bit for all that is long.
func lengthBit(n int) uint64 { return 1 << min(n, 63) }

// Find appends the ids of the declared names that stand in a name as a run of whole tokens: the longest first, then the
// rightmost. What stands before a run is free (buyerPhone is a phone). What stands behind it may say that the name speaks about
// the field and not of it (phoneModel, emailVerified), or that the run only says whose the data is: one that yields to another
// behind it comes last (receiverEmail is an e-mail). A nil yields is never.
func (n *Names) Find(dst []uint32, t Tokens, yields func(id, behind uint32) bool) []uint32 {
	base := len(dst)
	found := n.matches(t)
	if yields != nil {
		for i := range found {
			found[i].owner = n.owns(found[i], found, yields)
		}
	}
	slices.SortStableFunc(found, func(a, b match) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(len(b.declared), len(a.declared)), cmp.Compare(b.start, a.start))
	})
	for _, m := range found {
		if m.coveredBy(found) {
			continue
		}
		for _, id := range n.ids[m.declared] {
			if !slices.Contains(dst[base:], id) {
				dst = append(dst, id)
			}
		}
	}
	return dst
}

// match is a declared name in a name.
type match struct {
	declared   string
	start, end int  // its tokens
	about      bool // the name only says something about it
	owner      bool // it only says whose the data is that the name goes on to name
}

// matches returns the declared names in a name.
func (n *Names) matches(t Tokens) []match {
	var found []match
	joined := t.String()
	for i, start := 0, 0; i < len(t); start, i = start+len(t[i]), i+1 {
		lengths := n.lengths[joined[start]]
		longest := bits.Len64(lengths) - 1 + len("ies")
		for j, end := i, start; j < len(t) && lengths != 0; j++ {
			end += len(t[j])
			if end-start > longest && longest < 63 {
				break
			}
			if declared, ok := n.declared(joined[start:end], lengths); ok {
				found = append(found, match{declared: declared, start: i, end: j + 1, about: aboutField(t, i, j)})
			}
		}
	}
	return found
}

// coveredBy reports whether m is a part of a longer match that the name only says something about: where phoneNumberType
// is not a phone number, it is no phone either.
func (m match) coveredBy(others []match) bool {
	return slices.ContainsFunc(others, func(o match) bool { return o.about && o.start <= m.start && m.end <= o.end })
}

// owns reports whether m only says whose the data is that the name goes on to name: receiverEmail is an e-mail, and
// consigneeBirthday no name.
func (n *Names) owns(m match, others []match, yields func(id, behind uint32) bool) bool {
	return slices.ContainsFunc(others, func(o match) bool {
		return o.start >= m.end && !o.about && slices.ContainsFunc(n.ids[m.declared], func(id uint32) bool {
			return slices.ContainsFunc(n.ids[o.declared], func(behind uint32) bool { return yields(id, behind) })
		})
	})
}

func (m match) rank() int {
	if m.owner {
		return 1
	}
	return 0
}

// declared returns the declared name that a run is, itself or in the plural.
func (n *Names) declared(run string, lengths uint64) (string, bool) {
	if lengths&lengthBit(len(run)) != 0 {
		if _, ok := n.ids[run]; ok {
			return run, true
		}
	}
	for _, singular := range singulars(run) {
		if _, ok := n.ids[singular]; ok {
			return singular, true
		}
	}
	return "", false
}

// singulars returns what a name may be the plural of: imeis, addresses, histories. A stem of two letters is none, for sns
// is no sn.
func singulars(run string) []string {
	if len(run) < 4 || run[len(run)-1] != 's' {
		return nil
	}
	stem := run[:len(run)-1]
	switch {
	case strings.HasSuffix(stem, "ie") && len(stem) > 4:
		return []string{stem, stem[:len(stem)-2] + "y"}
	case strings.HasSuffix(stem, "e") && len(stem) > 4:
		return []string{stem, stem[:len(stem)-1]}
	}
	return []string{stem}
}

// aboutField reports whether a name says something about the field that its tokens i to j name: a type, a count, whether
// it was verified. A name that is declared as a whole is always the field.
func aboutField(t Tokens, i, j int) bool {
	if i > 0 && (t[0] == "is" || t[0] == "has") {
		return true
	}
	for j++; j < len(t); j++ {
		if t[j][0] >= '0' && t[j][0] <= '9' {
			continue // phone2Type
		}
		return attributes[t[j]] || j+1 < len(t) && attributes[t[j]+t[j+1]]
	}
	return false
}

var attributes = set(`
	type types kind count counts model brand vendor manufacturer verified verification validated valid invalid confirmed
	status format enabled disabled required optional length len size max min limit version ver at policy space index idx
	sort sorted table column field label placeholder hint pattern regex schema flag mode rule rules template provider source scheme
	encoding charset visibility visible privacy setting settings permission permissions ttl expires expire expired
	changed updated created modified deleted error errors width height quality color colour unit precision accuracy interval
	timeout retries attempts supported available exists locked active id ids
	类型 状态 数量 型号 品牌 格式 长度 版本 个数 次数`)

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}
