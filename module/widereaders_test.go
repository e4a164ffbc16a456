package minimize

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func testRequest() *http.Request { return httptest.NewRequest("GET", "/api/orders", nil) }

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) WriteHeader(int)             {}
func (discard) Write(p []byte) (int, error) { return len(p), nil }

func persons(from, to int) (people []personHash) {
	for n := from; n < to; n++ {
		people = append(people, hashPerson(fmt.Sprint("person-", n)))
	}
	return people
}

// TestWideReaders: a caller counts from the first data subject past a threshold, whoever is shown again, and until midnight.
func TestWideReaders(t *testing.T) {
	w, now := newWideReaders(), time.Date(2026, 3, 1, 23, 0, 0, 0, time.UTC)
	w.now = func() time.Time { return now }
	past := func(want ...int) {
		t.Helper()
		if got := w.wide(); !slices.Equal(got, want) {
			t.Errorf("callers past 50, 500 and 5000: %v, want %v", got, want)
		}
	}
	for n := range 50 {
		w.add("clerk", persons(n, n+1))
		w.add("clerk", persons(0, n+1))
	}
	past(0, 0, 0)
	w.add("clerk", persons(50, 51))
	past(1, 0, 0)
	w.add("other", persons(0, 50))
	past(1, 0, 0)
	w.add("clerk", persons(0, 700))
	past(1, 1, 0)
	w.add("other", persons(0, 7000))
	past(2, 2, 1)
	now = now.Add(2 * time.Hour)
	past(0, 0, 0)
}

// TestWideReadersAreBounded: many callers push out those who saw the fewest people, never who saw many.
func TestWideReadersAreBounded(t *testing.T) {
	w := newWideReaders()
	w.most = 100
	w.add("snoop", persons(0, 60))
	for n := range 1000 {
		w.add(fmt.Sprint("caller-", n), persons(n, n+1))
		if len(w.callers) > w.most {
			t.Fatalf("%d callers are remembered", len(w.callers))
		}
	}
	if got := w.wide(); got[0] != 1 {
		t.Errorf("%d callers are past 50, want 1", got[0])
	}
}

// TestWideReaderIsSeen: 51 data subjects in one answer are past 50.
func TestWideReaderIsSeen(t *testing.T) {
	var orders []string
	for n := range 51 {
		orders = append(orders, fmt.Sprintf(`{"buyer":"person-%d","phone":%q}`, n, somePhone))
	}
	i, g := newIssuer(t), prepare(t)
	g.write("issuer.pem", i.pem())
	answer := func(n int) script { return says(jsonHead, `{"orders":[`+strings.Join(orders[:n], ",")+`]}`) }
	read := func(n int) {
		t.Helper()
		if err := g.load(newBackend(t, answer(n)).addr, "", i.site("key issuer.pem")); err != nil {
			t.Fatal(err)
		}
		token := i.mint(map[string]any{"sub": "wide-" + g.dir})
		eventually(t, func() bool { return g.get("/api/orders", "Authorization: Bearer "+token).status == 200 })
	}
	before := collectors.readers.wide()[0]
	read(50)
	if past := collectors.readers.wide()[0] - before; past != 0 {
		t.Errorf("%d more callers are past 50 after 50 people", past)
	}
	read(51)
	eventually(t, func() bool { return collectors.readers.wide()[0] == before+1 })
}
