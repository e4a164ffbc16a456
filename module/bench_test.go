package minimize

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-minimize/minimize/module/rulefile"
	"github.com/caddy-minimize/minimize/rules"
)

// BenchmarkHandler is what a request costs beside the engine: a small answer through a provisioned handler.
func BenchmarkHandler(b *testing.B) {
	for _, size := range []int{1, 50} {
		b.Run(fmt.Sprintf("%d KB", size), func(b *testing.B) {
			benchmarkHandler(b, strings.Replace(someOrder, "paid", strings.Repeat("paid ", size*200), 1))
		})
	}
}

func benchmarkHandler(b *testing.B, body string) {
	h := newHandler(b, shopRules)
	upstream := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header()["Content-Type"] = []string{"application/json"}
		w.Header()["Date"] = []string{"Tue, 15 Nov 1994 12:45:26 GMT"}
		w.Header()["X-Request-Id"] = []string{"f81d4fae-7dec-11d0-a765-00a0c91e6bf6"}
		_, err := w.Write([]byte(body))
		return err
	})
	r := httptest.NewRequest("GET", "/api/orders", nil)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := h.ServeHTTP(httptest.NewRecorder(), r, upstream); err != nil {
			b.Fatal(err)
		}
	}
}

// newHandler provisions a handler by hand, without a Caddy around it.
func newHandler(t testing.TB, document string) *Handler {
	t.Helper()
	loaded, err := load(&files{rules: []rulefile.File{{Name: "shop.yaml", Data: []byte(document)}}})
	if err != nil {
		t.Fatal(err)
	}
	app := &App{metrics: collectors, audit: new(audit), loaded: loaded}
	app.current.Store(new(snapshot))
	h := &Handler{Mode: modeEnforce, app: app, logger: zap.NewNop(), metrics: collectors, route: new(route), caller: new(caller)}
	if err := app.add(h.route); err != nil {
		t.Fatal(err)
	}
	if h.headers, err = newHeaderRules(h); err != nil {
		t.Fatal(err)
	}
	return h
}

// BenchmarkRecord is what metrics and audit log cost of an answer with some categories in it.
func BenchmarkRecord(b *testing.B) {
	h := newHandler(b, shopRules)
	m := h.newMessage(httptest.NewRequest("GET", "/api/orders", nil))
	m.disclosure.Caller = rules.Caller{ID: "u1", Roles: []string{"support"}}
	m.reached.add([]byte("u2"), nil)
	set := m.rules.enforced
	report := &rules.Report{Counts: make([][rules.ActionCount]uint32, len(set.Categories())), Read: 1000, Written: 900}
	report.Counts[0][rules.Keep] = 8
	for i, name := range []rules.Category{"contact.phone", "device.imei", "person.name", "order.amount", "location", "network.ip"} {
		report.Counts[set.ID(name)][i%4] = 1
	}
	res := &result{outcome: outcomeMinimized, status: 200, report: report}
	b.ReportAllocs()
	for b.Loop() {
		m.recordResult(res, nil)
	}
}
