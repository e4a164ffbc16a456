package body

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/caddy-minimize/minimize/rules"
)

const giants = shop + `
  - {id: some, to: reader, for: work, mask: [contact, person.name], keep: [general, content.text], blank: [device], strip: [order.number], pseudonymize: [network]}
  - {id: own, to: self, for: work, keep: [person.gender]}
fields:
  - {at: /name, is: person.name}
  - {at: /ip, is: network.ip}
  - {at: /text, is: content.text}
  - {key: gender, is: person.gender}
records: [{at: /list/*, subject: /id}]
`

func TestGiant(t *testing.T) {
	s := scopeOf(t, giants)
	x := strings.Repeat("x", 150<<10)
	for name, want := range map[string]string{
		"plain": x, "text": x, "name": "", "ip": "", "imei": "",
	} {
		body := `{"a":1,"` + name + `":"` + x + `","z":[2]}`
		for _, hold := range []int{0, 1000} {
			for _, chunk := range []int{1 << 10, 1 << 20} {
				c, _, err := rewrite(judgeFor(s, "reader"), Limits{Hold: hold}, body, chunk)
				if wanted := strings.Replace(body, x, want, 1); err != nil || string(c.body) != wanted {
					t.Errorf("%s, hold %d: %v, %d bytes, want %d", name, hold, err, len(c.body), len(wanted))
				}
			}
		}
	}
	body := `{"orderNo":"` + x + `","z":[2],"orderNo":"` + x + `"}`
	if got := output(t, judgeFor(s, "reader"), body); got != `{"z":[2]}` {
		t.Errorf("stripped: %.100s", got)
	}
	if got := output(t, judgeFor(s, "full"), body); got != body {
		t.Errorf("kept: %.100s", got)
	}
	// Whether its data subject reads may stand behind it.
	for id, want := range map[string]string{"me": `{"gender":"` + x + `","id":"me"}`, "you": `{"id":"you"}`} {
		body := `{"list":[{"gender":"` + x + `","id":"` + id + `"}]}`
		if got := output(t, judgeFor(s, "reader"), body); got != `{"list":[`+want+`]}` {
			t.Errorf("%s: %.100s", id, got)
		}
		c, _, err := rewrite(judgeFor(s, "reader"), Limits{Hold: 1 << 10}, body, 1<<10)
		if err != nil || string(c.body) != `{"list":[{"id":"`+id+`"}]}` {
			t.Errorf("%s: %v %.100s", id, err, c.body)
		}
	}
	for _, broken := range []string{`{"a":"` + x + `\q"}`, `{"a":"` + x + "\n" + `"}`, `{"a":"` + x, `{"imei":"` + x + "\xff" + `"}`} {
		if r := refused(t, judgeFor(s, "reader"), broken); r.Reason != rules.Unreadable {
			t.Error(r)
		}
	}
}

// TestGiantHits moves a hit over every border of the pieces.
func TestGiantHits(t *testing.T) {
	j := judgeFor(scopeOf(t, giants), "reader")
	const hit = "13800138000"
	for _, pad := range []string{"x ", `\u0078 `, "中 "} {
		text := strings.Repeat(pad, 240<<10/len(pad))
		for at := 40 << 10; at < 200<<10; at += 1999 {
			at := at / len(pad) * len(pad)
			body := `{"text":"` + text[:at] + hit + " " + text[at:] + `"}`
			c, report, err := rewrite(j, Limits{Hold: 10 << 10}, body, 100<<10)
			got := string(c.body)
			if err != nil || strings.Contains(got, hit) {
				t.Fatalf("%q at %d: %v, the hit is left", pad, at, err)
			}
			if head, tail := body[:9+at], body[9+at+len(hit):]; !strings.HasPrefix(got, head) || !strings.HasSuffix(got, tail) {
				t.Fatalf("%q at %d: what stands around the hit changed", pad, at)
			}
			if n := len(report.Counts); n == 0 {
				t.Fatalf("%q at %d: nothing is counted", pad, at)
			}
		}
	}
}

func TestGiantWords(t *testing.T) {
	doc := strings.Replace(giants, "fields:\n", "fields:\n  - {words: [overdue], is: financial.debt}\n", 1)
	j := judgeFor(scopeOf(t, doc), "reader")
	x := strings.Repeat("nothing ", 20<<10)
	plain, found := `{"a":"`+x+`","z":1}`, `{"a":"`+x+`overdue `+x+`","z":1}`
	if got := output(t, j, plain); got != plain {
		t.Errorf("%d bytes of %d", len(got), len(plain))
	}
	if got := output(t, j, found); got != `{"z":1}` {
		t.Errorf("the word is left in %d bytes", len(got))
	}
	// Longer than the hold, nobody can tell whether the word comes: nothing of it is shown.
	for _, body := range []string{plain, found} {
		c, _, err := rewrite(j, Limits{Hold: 10 << 10}, body, 1<<10)
		if err != nil || string(c.body) != `{"a":"","z":1}` {
			t.Errorf("%v: %.100s", err, c.body)
		}
	}
}

// feed writes a part again and again.
func feed(t *testing.T, w *JSON, head, part, tail string, bytes int) {
	t.Helper()
	block := []byte(strings.Repeat(part, max(1, 32<<10/len(part))))
	write := func(p []byte) {
		if _, err := w.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	write([]byte(head))
	for n := 0; n < bytes; n += len(block) {
		write(block)
	}
	write([]byte(tail))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestConstantMemory sends bodies through that are each large in another way, 64 MiB where little is judged in them, else 8;
// 200 and 20 where MINIMIZE_LARGE is set.
func TestConstantMemory(t *testing.T) {
	j := judgeFor(scopeOf(t, giants), "reader")
	small, large := 8<<20, 64<<20
	if os.Getenv("MINIMIZE_LARGE") != "" {
		small, large = 20<<20, 200<<20
	}
	calm := map[string]bool{"string": true, "space": true, "stripped string": true, "space before": true, "long array": true}
	for name, body := range map[string][3]string{
		"long array":        {`["1"`, `,"nothing to see here, nothing to hide, nothing to tell and nothing to ask for"`, `]`},
		"array":             {`[1`, `,{"imei":"1","a":[true]}`, `]`},
		"records":           {`{"list":[{"id":"me"}`, `,{"id":"me","gender":"f"}`, `]}`},
		"tiny values":       {`{"imei":[1`, `,1`, `]}`},
		"tiny holes":        {`{"list":[1`, `,1`, `]}`},
		"one record":        {`{"list":[{"id":"me"`, `,"gender":"f"`, `}]}`},
		"string":            {`{"a":"`, `nothing to see here, `, `"}`},
		"escapes":           {`{"a":"`, `\u4e2d\ud83d\ude00`, `"}`},
		"stripped string":   {`{"orderNo":"`, `xxxxxxx`, `"}`},
		"stripped object":   {`{"orderNo":{"a":1`, `,"a":"b"`, `}}`},
		"space":             {`{"a": [1`, `    `, `]}`},
		"space before":      {`{"a":`, `    `, `1}`},
		"names":             {`{"a":1`, `,"13800138000":1`, `}`},
		"stripped elements": {`{"list":[{"a":1`, `,"orderNo":1`, `}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			var peak, before runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			calls := 0
			budget := NewBudget(64 << 20)
			w := NewJSON(j, Limits{Hold: 128 << 10, Budget: budget}, func([]byte, bool) error {
				if calls++; calls%200 == 1 {
					runtime.GC()
					var now runtime.MemStats
					runtime.ReadMemStats(&now)
					peak.HeapAlloc = max(peak.HeapAlloc, now.HeapAlloc)
				}
				return nil
			})
			size := small
			if calm[name] {
				size = large
			}
			feed(t, w, body[0], body[1], body[2], size)
			if got := int64(64<<20) - budget.left.Load(); got > 8<<20 {
				t.Errorf("%d bytes of the budget are taken at the end", got)
			}
			w.Release()
			if budget.left.Load() != 64<<20 {
				t.Errorf("%d bytes of the budget are lost", 64<<20-budget.left.Load())
			}
			if peak.HeapAlloc > before.HeapAlloc+4<<20 {
				t.Errorf("%d bytes of memory for a hold of 128 KiB", peak.HeapAlloc-before.HeapAlloc)
			}
		})
	}
}

// TestRandomNames sends names that never come again: they are not remembered without end.
func TestRandomNames(t *testing.T) {
	j := judgeFor(scopeOf(t, giants), "reader")
	w := NewJSON(j, Limits{}, func([]byte, bool) error { return nil })
	defer w.Release()
	var b strings.Builder
	b.WriteString(`{"a":1`)
	for i := range 20000 {
		fmt.Fprintf(&b, `,"n%d":{"m%d":%d}`, i, i, i)
	}
	b.WriteString("}")
	if _, err := w.Write([]byte(b.String())); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	known := 0
	for _, n := range w.learnt.nodes {
		known += len(n.fields) + len(n.elements)
	}
	if known > maxFields || w.learnt.fields > maxFields {
		t.Errorf("%d names are remembered", known)
	}
}

// TestBudget sends many bodies at once through one budget.
func TestBudget(t *testing.T) {
	j := judgeFor(scopeOf(t, giants), "reader")
	body := "[" + strings.Repeat(`{"imei":"1","text":"nothing"},`, 10000) + "1]"
	budget := NewBudget(1 << 20)
	var writers []*JSON
	outs := make([]collected, 20)
	for i := range outs {
		writers = append(writers, NewJSON(j, Limits{Budget: budget}, outs[i].sink))
	}
	for at := 0; at < len(body); at += 10000 {
		for _, w := range writers {
			if _, err := w.Write([]byte(body[at:min(len(body), at+10000)])); err != nil {
				t.Fatal(err)
			}
		}
		if left := budget.left.Load(); left < -int64(len(writers)*3*grainSize) {
			t.Fatalf("the budget is overdrawn by %d bytes", -left)
		}
	}
	early := 0
	for i, w := range writers {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if string(outs[i].body) != strings.ReplaceAll(body, `"imei":"1"`, `"imei":""`) {
			t.Error("the output differs under pressure")
		}
		if outs[i].calls > 1 {
			early++
		}
		w.Release()
	}
	if early == 0 || budget.left.Load() != 1<<20 {
		t.Errorf("%d bodies left early, %d bytes of the budget are left", early, budget.left.Load())
	}
}

// TestGiantNames: a name that a giant string gives a value to takes its piece with it, wherever it stands in the string.
func TestGiantNames(t *testing.T) {
	j := judgeFor(scopeOf(t, shop+"  - {id: some, to: reader, for: work, keep: [general]}\n"), "reader")
	full := judgeFor(scopeOf(t, shop), "full")
	filler := strings.Repeat("lorem ipsum ", 8000)
	for _, text := range []string{
		"phone=Alice " + filler, filler + "phone=Alice", filler + "phone=Alice " + filler, "name=Alice token=tok12345 imei=A1 " + filler,
		"https://shop.example/" + strings.Repeat("y", 80_000) + "?phone=Alice", filler + `'phone': 'Alice'` + filler,
		strings.Repeat("x", 65_530) + " phone=Alice " + filler,
	} {
		for _, hold := range []int{1, 100_000, 1 << 20} {
			body := `{"a":` + quoted(text) + `,"b":1}`
			for _, chunk := range []int{1000, 1 << 20} {
				c, _, err := rewrite(j, Limits{Hold: hold}, body, chunk)
				if err != nil || strings.Contains(string(c.body), "Alice") || !json.Valid(c.body) || !strings.HasSuffix(string(c.body), `"b":1}`) {
					t.Errorf("hold %d: %v, %d bytes, shown %v: %.40q", hold, err, len(c.body), strings.Contains(string(c.body), "Alice"), text)
				}
			}
			if c, _, err := rewrite(full, Limits{Hold: hold}, body, 1<<20); err == nil && string(c.body) != body && !strings.Contains(text, "token=") {
				t.Errorf("with all rights %d bytes became %d: %.40q", len(body), len(c.body), text)
			}
		}
	}
	// What gives no withheld name a value stays, equals signs or not.
	body := `{"a":"` + strings.Repeat("QUJD", 40_000) + `==","b":"` + filler + `x=1 ` + filler + `"}`
	if got := output(t, j, body); got != body {
		t.Errorf("%d bytes became %d", len(body), len(got))
	}
}

// TestGiantValues: a withheld value that a giant string gives to a name may be of any length, so nothing behind its name is
// shown.
func TestGiantValues(t *testing.T) {
	j := judgeFor(scopeOf(t, shop+"  - {id: some, to: reader, for: work, keep: [general]}\n"), "reader")
	full := judgeFor(scopeOf(t, shop), "full")
	log, value := strings.Repeat("start of a log ", 400), strings.Repeat("Alice", 60_000)
	for name, text := range map[string]string{
		"a line":             strings.Repeat("z", 70_000) + " phone=" + value,
		"a document":         log + `{"phone":"` + value + `"}`,
		"behind a border":    strings.Repeat("z", 65_530) + ` {"phone":"` + value + `"}`,
		"encoded":            strings.Repeat("z", 65_530) + " %7B%22phone%22%3A%22" + value + "%22%7D",
		"encoded twice":      log + " %257B%2522phone%2522%253A%2522" + value + "%2522%257D",
		"encoded, short":     strings.Repeat("x", 65_530) + " 5% %7B%22phone%22%3A%22Alice%22%7D",
		"a name kept before": log + `{"orderNo":"1","phone":"` + value + `"}`,
		"escaped":            log + "\"phone\":\n\u0001" + value,
	} {
		document := `{"a":` + quoted(text) + `,"b":1}`
		for chunk, send := range map[int]func(*rules.Judge, Limits, string, int) (string, error){
			999: func(j *rules.Judge, l Limits, in string, chunk int) (string, error) {
				c, _, err := rewrite(j, l, in, chunk)
				return string(c.body), err
			},
			70_000: func(j *rules.Judge, l Limits, in string, chunk int) (string, error) {
				out, _, err := partsOf(t, j, l, "b", parts(filePart("x", "f", "application/json", in)), chunk)
				return out, err
			},
			1 << 20: func(j *rules.Judge, l Limits, _ string, chunk int) (string, error) {
				out, _, err := formOf(j, l, "a="+url.QueryEscape(text)+"&b=1", chunk)
				return out, err
			},
		} {
			if out, err := send(j, Limits{Hold: 1000}, document, chunk); err != nil || strings.Contains(out, "Alice") || !strings.Contains(out, "b") {
				t.Errorf("%s by %d: %v, %d bytes are left", name, chunk, err, len(out))
			}
			if out, err := send(full, Limits{Hold: 1000}, document, chunk); err != nil || len(out) < len(value) && name != "encoded, short" {
				t.Errorf("%s by %d: with all rights %v, %d bytes", name, chunk, err, len(out))
			}
		}
	}
	// What the first string names says nothing of the next one.
	plain := strings.Repeat("nothing ", 20_000)
	got := output(t, j, `{"a":"`+log+`phone=1 `+plain+`","b":"`+plain+`"}`)
	if !strings.HasSuffix(got, `,"b":"`+plain+`"}`) || len(got) > len(plain)+100 {
		t.Errorf("%d bytes are left", len(got))
	}
}
