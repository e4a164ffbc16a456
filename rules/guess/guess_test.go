package guess

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/caddy-minimize/minimize/rules"
)

func guesser(t *testing.T, documents ...string) *Guesser {
	t.Helper()
	docs := []*rules.Document{{Pos: rules.Pos{File: "samples"}}}
	for i, text := range documents {
		doc, err := rules.Parse(fmt.Sprintf("%c.yaml", 'a'+i), []byte("minimize: 1\n"+text))
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, doc)
	}
	compiled, err := rules.Compile(docs, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return New(compiled.Scope("", ""))
}

// found drafts from texts at one place and returns what it is, with a question mark where that is unsure.
func found(t *testing.T, values []string) string {
	t.Helper()
	g := guesser(t)
	for _, v := range values {
		line, _ := json.Marshal(map[string]string{"x1": v})
		if err := g.Read(strings.NewReader(string(line))); err != nil {
			t.Fatal(err)
		}
	}
	d := g.Draft()
	switch {
	case len(d.Fields) > 0:
		return string(d.Fields[0].Is)
	case len(d.Unsure) > 0:
		return string(d.Unsure[0].Is) + "?"
	}
	return ""
}

// cards are Visa's test numbers and the like; sevens are none.
var (
	cards  = []string{"4111111111111111", "4012888888881881", "5555555555554444", "5105105105105100", "4242424242424242"}
	sevens = []string{"4777777777777777", "4777777777777778", "5555555555554440", "5105105105105101", "4242424242424241"}
)

// TestShares: what a place is depends on how many of its values, and how many different ones, are such.
func TestShares(t *testing.T) {
	repeat := func(values []string, n int) (all []string) {
		for i := range n {
			all = append(all, values[i%len(values)])
		}
		return all
	}
	counter := func(n int) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprint(13800100000+i))
		}
		return all
	}
	for _, c := range []struct {
		name   string
		values []string
		want   string
	}{
		{"five cards", cards, "card.number"},
		{"one card", cards[:1], "card.number?"},
		{"two cards", cards[:2], "card.number?"},
		{"the same one again and again", repeat(cards[:1], 40), ""},
		{"four of five", append(repeat(cards, 40), repeat(sevens, 10)...), "card.number"},
		{"one in ten, as Luhn has it", append(repeat(cards, 10), repeat(sevens, 90)...), ""},
		{"half", append(repeat(cards, 40), repeat(sevens, 40)...), ""},
		{"one address is proof", []string{"li.na@example.com"}, "contact.email"},
		{"telephone numbers", []string{"13817640235", "18602158830", "15912340000"}, "contact.phone"},
		{"telephone numbers of one place", []string{"+1 202 555 0143", "+1 202 555 0187", "+1 202 555 0101"}, "contact.phone"},
		{"a counter", counter(200), ""},
		{"a hotline", repeat([]string{"13817640235"}, 50), ""},
		{"telephone numbers and addresses", []string{"13817640235", "18602158830", "15912340000", "a@example.com", "b@example.com"}, "contact"},
		{"addresses of machines", []string{"114.80.166.240", "8.8.8.8", "203.0.113.7", "198.51.100.23"}, "network.ip"},
		{"versions", []string{"7.0.1.2", "7.0.2.0", "7.1.0.3", "8.0.0.1", "8.0.0.2"}, ""},
		{"sentences", []string{"call me at 13817640235 please", "or write to li.na@example.com today"}, "content.text"},
		{"sentences without anybody", []string{"leave it at the door", "ring twice and wait"}, ""},
		{"sentences with parcels", repeat([]string{"parcel no 4111111111111111 is late", "no idea where it is", "it came too late for us", "the box was wet inside"}, 40), ""},
		{"names", []string{"王伟", "李芳", "张娜", "刘静", "陈强", "欧阳明华"}, "person.name"},
		{"colors", []string{"白色", "黄色", "黑色", "红色", "蓝色", "绿色", "紫色"}, ""},
		{"a few days", []string{"2026-01-02", "2026-03-04", "2026-05-06"}, ""},
	} {
		if got := found(t, c.values); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestOrderOfSamples: what is found depends on neither the order of samples nor how they come.
func TestOrderOfSamples(t *testing.T) {
	var lines []string
	for i := range 60 {
		lines = append(lines, fmt.Sprintf(`{"list":[{"user":{"id":%d},"a":%q,"m":{"k%d":{"p":"u%d@example.com","q":1}}}],"n%d":{"z":"x%d@example.com"}}`, i, cards[i%5], i%7, i, i%3, i))
	}
	draft := func(lines []string, whole bool) string {
		g := guesser(t)
		if whole {
			lines = []string{strings.Join(lines, "\n")}
		}
		for _, line := range lines {
			if err := g.Read(strings.NewReader(line)); err != nil {
				t.Fatal(err)
			}
		}
		d := g.Draft()
		text, _ := json.Marshal(d)
		return string(text)
	}
	want := draft(lines, true)
	for _, part := range []string{`"/list/*/a"`, `"/list/*/m/*/p"`, `"/n0/z"`, `"subject":"/user/id"`} {
		if !strings.Contains(want, part) {
			t.Fatalf("%s is missing in %s", part, want)
		}
	}
	dice := rand.New(rand.NewPCG(1, 2))
	for range 5 {
		dice.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		if got := draft(lines, false); len(got) != len(want) {
			t.Errorf("in another order: %s, want %s", got, want)
		}
	}
}

// TestDeclared: what a document declares is known, by its place or its name, and none is nothing.
func TestDeclared(t *testing.T) {
	sample := `{"a": {"x1": "a@example.com"}, "b": {"x2": "b@example.com"}, "c": {"x3": "c@example.com"}, "d": {"x4": "d@example.com"}}`
	g := guesser(t, "fields:\n  - {at: /a/x1, is: contact.email}\n  - {key: x2, is: none}\n  - {at: /c, is: contact}\n")
	if err := g.Read(strings.NewReader(sample)); err != nil {
		t.Fatal(err)
	}
	d := g.Draft()
	if len(d.Fields) != 1 || d.Fields[0].At != "/d/x4" {
		t.Errorf("fields: %+v", d.Fields)
	}
	if len(d.Known) != 2 || d.Known[0].At != "/a/x1" || d.Known[1].At != "/c" {
		t.Errorf("known: %+v", d.Known)
	}
}

// TestSubjects: the likeliest id of a data subject in each record.
func TestSubjects(t *testing.T) {
	for sample, want := range map[string]string{
		`{"orders": [{"id": 1, "buyer": {"id": 7, "email": "a@example.com"}, "seller": {"id": 8}}]}`:       "/orders/* /buyer/id",
		`{"orders": [{"customerNo": "7", "user_id": 8, "email": "a@example.com"}]}`:                        "/orders/* /customerNo",
		`{"patients": [{"id": 7, "email": "a@example.com"}]}`:                                              "/patients/* /id",
		`{"orders": [{"id": 7, "email": "a@example.com"}]}`:                                                "",
		`{"orders": [{"buyer": {"id": 7}}]}`:                                                               "",
		`{"user": {"id": 7, "email": "a@example.com"}}`:                                                    " /user/id",
		`{"orders": [{"buyer": {"id": 7}, "email": "a@example.com"}, {"email": "b@example.com"}]}`:         "",
		`{"users": {"1001": {"id": 7, "email": "a@example.com"}}}`:                                         "/users/* /id",
		`{"list": [{"order": {"user": {"userId": 7}}, "x": [{"email": "a@example.com", "memberId": 3}]}]}`: "/list/* /order/user/userId /list/*/x/* /memberId",
	} {
		g := guesser(t)
		if err := g.Read(strings.NewReader(sample)); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range g.Draft().Records {
			got = append(got, r.At+" "+r.Subject)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", sample, got, want)
		}
	}
}

func TestOperation(t *testing.T) {
	for path, want := range map[string]string{
		"/":                             "GET /",
		"/api/v2/orders":                "GET /api/v2/orders",
		"/api/orders/10017/":            "GET /api/orders/*",
		"/api/orders/D2026-1/items":     "GET /api/orders/*/items",
		"/api/users/anna":               "GET /api/users/*",
		"/api/customer/anna/addresses":  "GET /api/customer/*/addresses",
		"/who/a@example.com":            "GET /who/*",
		"/who/李娜":                       "GET /who/*",
		"/f/" + strings.Repeat("x", 41): "GET /f/*",
	} {
		if got := Operation("get", path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}
