package rules

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMatrixAgrees holds cells against decisions: nobody gets more than the best of the audiences that they are, and whoever
// is one audience gets exactly that where the cell asks for nothing, and no less than what it says otherwise.
func TestMatrixAgrees(t *testing.T) {
	seed := rand.Uint64()
	h := history{rand.New(rand.NewPCG(seed, 6))}
	exact, marked := 0, 0
	for i := range 300 {
		doc := h.doc()
		if i%2 == 0 {
			doc = randomDoc(h.Rand)
		}
		doc.Home = ""
		r := compileModel(t, doc)
		m := r.Matrix("p", modelNow)
		for range 10 {
			d, rec := h.disclosure(), h.record()
			d.Purpose = "p"
			if i%2 == 0 {
				d.Caller.Claims, d.People = map[string]string{"mfa": oneIn(h, "true", "false")}, nil
			}
			if d.People == nil {
				rec.person = nil
			}
			j := r.Scope("GET", "/").Judge(d)
			table := j.Table(rec.facts(j))
			if j.kind.roles[0] == Anonymous && j.kind.readsOwn(rec.facts(j)) == yes {
				continue // a limit to anonymous is none for them
			}
			for row, c := range modelCategories {
				id := r.ids[c]
				have := table.Decide(id).Action
				cells := cellsFor(m, d, int(id)-1)
				most := Strip
				if r.categories[id].Grade == Open {
					most = Keep
				}
				for _, cell := range cells {
					most = min(most, cell.Action)
				}
				if have < most {
					t.Fatalf("seed %d: %s is %v, the matrix says %v at most\n%+v\nallow %+v\nlimit %+v", seed, c, have, most, d, doc.Allow, doc.Limit)
				}
				if len(cells) != 1 || d.Caller.ID != "" || d.People != nil {
					continue
				}
				if exact++; cells[0].Marks != 0 {
					marked++
				}
				if have > cells[0].Limited || cells[0].Marks&MarkLimit == 0 && have > cells[0].Otherwise || cells[0].Marks == 0 && have != cells[0].Action {
					t.Fatalf("seed %d: %s (%d) is %v, the matrix says %+v\n%+v\nallow %+v\nlimit %+v", seed, c, row, have, cells[0], d, doc.Allow, doc.Limit)
				}
			}
		}
	}
	if exact == 0 || marked == 0 {
		t.Errorf("%d cells were compared, %d of them marked", exact, marked)
	}
}

// cellsFor are the cells of a row that a caller is the audience of.
func cellsFor(m *Matrix, d *Disclosure, row int) (cells []Cell) {
	known := slices.DeleteFunc(slices.Clone(d.Caller.Roles), func(r string) bool { return r == "stranger" })
	for i, a := range m.Audiences {
		if slices.Contains(known, a.Name) || a.Name == Anonymous && len(known) == 0 || (a.Name == Self || a.Name == Guardian) && d.Caller.ID != "" {
			cells = append(cells, m.Rows[row].Cells[i])
		}
	}
	return cells
}

// TestMatrixRecipient: of random registers, what a recipient gets at most.
func TestMatrixRecipient(t *testing.T) {
	seed := rand.Uint64()
	h := history{rand.New(rand.NewPCG(seed, 7))}
	sent, proven := 0, 0
	for range 800 {
		doc := modelDoc(oneIn(h, "", "CN"))
		doc.Recipients = []Recipient{{
			Name: "x", Kind: oneIn(h, "own", "third_party", "authority"), Country: oneIn(h, "CN", "DE"), Denied: oneIn(h, "", "strip"),
			From:     oneIn(h, modelNow, modelNow, modelNow.AddDate(0, 0, 1)),
			Transfer: oneIn(h, nil, &Transfer{Mechanism: "scc", Assessment: "ref", Consent: oneIn(h, "", "explicit"), Categories: oneIn(h, nil, words("a.b"))}),
		}}
		doc.Allow = []Rule{
			{ID: "one", To: words(oneIn(h, "x", "third_party")), For: words("p"), Basis: oneIn(h, "contract", "legitimate_interests"), Acts: []Act{{Action: oneIn(h, Keep, Mask, Blank), Name: "a"}}},
			{ID: "two", To: words("x"), For: words("p"), Consent: "explicit", Since: oneIn(h, 0, 2), Acts: []Act{{Action: Keep, Name: "d"}, {Action: Keep, Name: "a.b.c"}}},
			{ID: "three", To: words("x"), For: words("p"), Basis: "contract", Acts: []Act{{Action: oneIn(h, Keep, Mask), Name: oneIn(h, "secret", "auth.secret", "auth")}}},
		}
		r := compileModel(t, doc)
		d := &Disclosure{Position: Egress, Recipient: "x", Purpose: "p", Time: modelNow, People: oneIn[People](h, nil, somePeople{})}
		j, rec := r.Scope("GET", "/").Judge(d), h.record()
		if d.People == nil {
			rec.person = nil
		}
		table, m := j.Table(rec.facts(j)), r.Matrix("p", modelNow)
		for _, c := range modelCategories {
			have, cell := table.Decide(r.ids[c]).Action, m.Rows[r.ids[c]-1].Cells[0]
			if min(have, Strip) < min(cell.Action, cell.Otherwise, Strip) { // what would be sent with a consent is blocked, and blanked without
				t.Fatalf("seed %d: %s is %v, the matrix says %+v\n%+v", seed, c, have, cell, doc.Recipients)
			}
			if d.People == nil && (have > max(cell.Action, cell.Limited) || cell.Marks == 0 && have != cell.Action) {
				t.Fatalf("seed %d: %s is %v, the matrix says %+v\n%+v\n%+v", seed, c, have, cell, doc.Recipients, doc.Allow)
			}
			if have < Blank {
				sent++
				proven += int(bit(c == "auth.secret"))
			}
		}
	}
	if sent == 0 || proven == 0 {
		t.Errorf("%d values were sent, %d of them secrets", sent, proven)
	}
}

// TestMatrix: each mark, and what stands without it.
func TestMatrix(t *testing.T) {
	r := mustCompile(t, `roles: [support, boss, idle]
purposes: [care, ads]
policy: 2
recipients:
  lab: {kind: processor, contract: {from: 2026-01-01}}
  old: {kind: processor, contract: {from: 2025-01-01, until: 2025-12-31}}
allow:
  - {id: masked, to: support, for: care, mask: [contact], keep: [order]}
  - {id: ticket, to: support, for: care, case: ticket, when: {mfa: true}, keep: [contact.phone]}
  - {id: agreed, to: boss, for: care, consent: explicit, since: 2, keep: [contact]}
  - {id: interest, to: boss, for: care, basis: legitimate_interests, keep: [order]}
  - {id: labs, to: processor, for: care, basis: contract, keep: [device.imei, card.security, secret]}
  - {id: collect, to: us, from: self, for: care, keep: [location]}
limit:
  - {id: exports, to: support, when: {download: true}, strip: [order]}
  - {id: never, to: boss, strip: [contact.address]}
`)
	m := r.Matrix("care", time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC))
	var names []string
	for _, a := range m.Audiences {
		names = append(names, a.Name)
	}
	if got := strings.Join(names, " "); got != "support boss lab old us" {
		t.Fatalf("audiences: %s", got)
	}
	for category, want := range map[Category]string{
		"contact.phone":      "keep tw/mask/mask, keep cp/strip/strip, strip, strip, strip",
		"contact.email":      "mask, keep cp/strip/strip, strip, strip, strip",
		"contact.address":    "mask, strip, strip, strip, strip",
		"order.number":       "keep l/keep/strip, keep o/strip/strip, strip, strip, strip",
		"device.imei":        "strip, strip, keep, block, strip",
		"location.precise":   "strip, strip, strip, strip, keep f/strip/strip",
		"card.security":      "strip, strip, keep, block, strip",
		"auth.secret":        "strip, strip, strip, strip, strip",
		"content.text.title": "",
	} {
		var cells []string
		for _, row := range m.Rows {
			if row.Category != category {
				continue
			}
			for _, c := range row.Cells {
				text := c.Action.String()
				if c.Marks != 0 {
					text = fmt.Sprintf("%v %v/%v/%v", c.Action, c.Marks, c.Otherwise, c.Limited)
				}
				cells = append(cells, text)
			}
		}
		if got := strings.Join(cells, ", "); got != want {
			t.Errorf("%s: %s, want %s", category, got, want)
		}
	}
}
