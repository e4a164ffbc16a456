package body

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/caddy-minimize/minimize/rules"
)

// order writes one order of 50 scalars and about 1,070 bytes; 8 of them are personal data.
func order(r *rand.Rand) string {
	digits := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = '0' + byte(r.IntN(10))
		}
		return string(b)
	}
	word := func() string {
		return []string{"pending", "standard", "wechat", "express", "normal", "app", "retail", "none"}[r.IntN(8)]
	}
	var b strings.Builder
	fmt.Fprintf(&b, `{"order_id":"%s","order_status":"%s","create_time":%d,"total_amount":%d.%s,"currency":"CNY","channel":"%s"`,
		"A"+digits(9), word(), 1700000000+r.IntN(1e7), r.IntN(1e4), digits(2), word())
	fmt.Fprintf(&b, `,"consignee":{"name":"张伟%d","phone":"138%s","email":"u%s@example.com","address":"上海市徐汇区%d号","zip_code":"%s"}`,
		r.IntN(100), digits(8), digits(4), r.IntN(999), digits(6))
	fmt.Fprintf(&b, `,"device":{"imei":"%s","client_ip":"10.0.%d.%d","os_version":"14.%d","brand":"%s","model":"M%s"},"id_card_no":"%s","bank_card_no":"6222%s"`,
		digits(15), r.IntN(256), r.IntN(256), r.IntN(9), word(), digits(3), digits(18), digits(12))
	for i := range 27 {
		switch i % 3 {
		case 0:
			fmt.Fprintf(&b, `,"field_%02d":"%s"`, i, word())
		case 1:
			fmt.Fprintf(&b, `,"count_%02d":%d`, i, r.IntN(10000))
		default:
			fmt.Fprintf(&b, `,"flag_%02d":%v`, i, r.IntN(2) == 0)
		}
	}
	fmt.Fprintf(&b, `,"remark":null,"warehouse_code":"W%s","delivery":"%s","tracking":"SF%s","tax":0}`, digits(3), word(), digits(6))
	return b.String()
}

func orders(n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	list := make([]string, n)
	for i := range list {
		list[i] = order(r)
	}
	return `{"code":0,"orders":[` + strings.Join(list, ",") + `]}`
}

// products is a body of 50 KB with nothing personal in it.
func products() string {
	var list []string
	for i := range 330 {
		list = append(list, fmt.Sprintf(`{"sku":"S%04d","title":"A pair of blue socks, size %d, 羊毛","price":%d.50,"stock":%d,"on_sale":%v,"rating":4.%d,"category_code":"socks"}`,
			i, i%40, i%90, i*7%1000, i%2 == 0, i%10))
	}
	return `{"products":[` + strings.Join(list, ",") + `]}`
}

// benchRules masks what is personal in an order, and declares n names more.
func benchRules(n int, more string) string {
	var b strings.Builder
	b.WriteString(shop + `
  - {id: some, to: reader, for: work, mask: [person, contact, device, network, card, identity], keep: [general]}
fields:
  - {key: [consignee], is: none}
  - {at: /orders/*/consignee/name, is: person.name}
  - {at: /orders/*/consignee/phone, is: contact.phone}
  - {at: /orders/*/consignee/email, is: contact.email}
  - {at: /orders/*/consignee/address, is: contact.address}
  - {at: /orders/*/device/imei, is: device.imei}
  - {at: /orders/*/device/client_ip, is: network.ip}
  - {at: /orders/*/id_card_no, is: identity.national_id}
  - {at: /orders/*/bank_card_no, is: card.number}
`)
	for i := range n {
		if i%2 == 0 {
			fmt.Fprintf(&b, "  - {key: extra_name_%d_%d, is: contact.phone}\n", i, i*i)
		} else {
			fmt.Fprintf(&b, "  - {at: /orders/*/extra_place_%d, is: contact.phone}\n", i)
		}
	}
	return b.String() + more
}

func benchBodies() []struct{ name, body string } {
	small := orders(1)
	return []struct{ name, body string }{
		{"small", small[len(`{"code":0,"orders":[`) : len(small)-2]},
		{"medium", orders(47)},
		{"none", products()},
		{"large", orders(9800)},
	}
}

// BenchmarkJSON rewrites the bodies with few and with many rules, with blanks instead of masks, which is what the engine
// costs without them, and with detectors on everything undeclared.
func BenchmarkJSON(b *testing.B) {
	for _, rules := range []struct {
		name, action string
		n            int
		more         string
	}{{"10rules", "mask", 0, "values: []\n"}, {"10000rules", "mask", 10000, "values: []\n"}, {"blank", "blank", 0, "values: []\n"}, {"detectors", "mask", 0, ""}} {
		doc := strings.Replace(benchRules(rules.n, rules.more), "mask: [", rules.action+": [", 1)
		j := judgeFor(rulesOf(b, doc).Scope("GET", "/"), "reader")
		for _, body := range benchBodies() {
			b.Run(body.name+"/"+rules.name, func(b *testing.B) { benchmark(b, j, body.body) })
		}
	}
}

// BenchmarkRecords decides every order for its own data subject.
func BenchmarkRecords(b *testing.B) {
	doc := benchRules(0, "values: []\nrecords: [{at: /orders/*, subject: /order_id}]\n")
	doc = strings.Replace(doc, "fields:\n", "  - {id: own, to: self, for: work, keep: [personal, sensitive]}\nfields:\n", 1)
	j := judgeFor(rulesOf(b, doc).Scope("GET", "/"), "reader")
	b.Run("medium", func(b *testing.B) { benchmark(b, j, orders(47)) })
}

// BenchmarkConsent decides every order by its own data subject's consent, against the same rules without: by role alone,
// and with a store that is asked about every order.
func BenchmarkConsent(b *testing.B) {
	body := orders(47)
	known := &people{known: map[string]*rules.Person{}}
	for i, part := range strings.Split(body, `"order_id":"`)[1:] {
		person := &rules.Person{}
		if i%2 == 0 {
			person.Consents = []rules.Consent{{Purpose: "work", Level: rules.LevelExplicit, Given: time.Unix(1, 0)}}
		}
		known.known[part[:10]] = person
	}
	rule := func(consent string) string {
		doc := benchRules(0, "values: []\nrecords: [{at: /orders/*, subject: /order_id}]\n")
		return strings.Replace(doc, "some, to: reader, for: work,", "some, to: reader, for: work,"+consent, 1)
	}
	for _, c := range []struct {
		name, consent string
		people        rules.People
	}{{"role", "", nil}, {"store", "", known}, {"consent", " consent: general,", known}} {
		d := &rules.Disclosure{Caller: rules.Caller{ID: "me", Roles: []string{"reader"}}, Purpose: "work", Time: time.Now(), People: c.people}
		scope := rulesOf(b, rule(c.consent)).Scope("GET", "/")
		b.Run(c.name, func(b *testing.B) { benchmark(b, scope.Judge(d), body) })
	}
}

func benchmark(b *testing.B, j *rules.Judge, body string) {
	data := []byte(body)
	sink := func([]byte, bool) error { return nil }
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		w := NewJSON(j, Limits{}, sink)
		for i := 0; i < len(data); i += 32 << 10 {
			if _, err := w.Write(data[i:min(i+32<<10, len(data))]); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
		w.Release()
	}
}

// BenchmarkGjsonValid is what the same bodies cost to be read only.
func BenchmarkGjsonValid(b *testing.B) {
	for _, body := range benchBodies() {
		b.Run(body.name, func(b *testing.B) {
			data := []byte(body.body)
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if !gjson.ValidBytes(data) {
					b.Fatal("not valid")
				}
			}
		})
	}
}

// BenchmarkFlat measures what a request holds besides documents.
func BenchmarkFlat(b *testing.B) {
	j := judgeFor(scopeOf(b, headRules), "reader")
	form := strings.Repeat("orderNo=D1&phone=13800138000&note=some+text+%E5%BC%A0&quantity=3&next=https%3A%2F%2Fx.example%2F%3Fa%3D1&", 10)
	file := parts(part1("phone", "13800138000"), filePart("x", "a.png", "image/png", strings.Repeat("\x00\xff\r\n--xytes", 100_000)))
	document := parts(filePart("x", "a.json", "application/json", "["+strings.Repeat(`{"orderNo":"D1","phone":"13800138000","note":"some text"},`, 20_000)+"1]"))
	sink := func([]byte, bool) error { return nil }
	for _, bench := range []struct {
		name, body string
		rewriter   func() *JSON
	}{
		{"form", form, func() *JSON { return NewForm(j, Limits{}, sink) }},
		{"file", file, func() *JSON { w, _ := NewMultipart(j, Limits{}, sink, "b", images); return w }},
		{"document", document, func() *JSON { w, _ := NewMultipart(j, Limits{}, sink, "b", images); return w }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			body := []byte(bench.body)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				w := bench.rewriter()
				if _, err := w.Write(body); err != nil {
					b.Fatal(err)
				}
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
				w.Release()
			}
		})
	}
	b.Run("header", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := NewHead(j).Header("User-Agent", agent); err != nil {
				b.Fatal(err)
			}
		}
	})
}
