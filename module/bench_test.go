package minimize

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/logging"
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

// BenchmarkSeen compares the processor time of a 1 KB request that audit log and metrics tell of with one that nobody tells
// of, in turns, and says what a canary takes of a processor, once a minute. All of them together should cost 5 % of a request at most.
func BenchmarkSeen(b *testing.B) {
	h := newHandler(b, shopRules)
	h.app.logger = zap.NewNop()
	h.Caller = &Caller{Role: "support", Purpose: "after_sales"}
	var err error
	if h.caller, err = h.Caller.provision(h.app, h.logger); err != nil {
		b.Fatal(err)
	}
	h.app.audit = &audit{opener: &logging.FileWriter{Filename: filepath.Join(b.TempDir(), "audit.jsonl")}, metrics: collectors, logger: h.logger}
	if err := h.app.audit.open(); err != nil {
		b.Fatal(err)
	}
	body := []byte(strings.Replace(someOrder, "paid", strings.Repeat("paid ", 180), 1))
	upstream := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header()["Content-Type"] = []string{"application/json"}
		_, err := w.Write(body)
		return err
	})
	seen := httptest.NewRequest("GET", "/api/orders", nil)
	requests := []*http.Request{seen, seen.WithContext(context.WithValue(seen.Context(), canaryKey{}, true))}
	route, spent, canary := &canaryRoute{handler: h}, [2]time.Duration{}, time.Duration(0)
	for b.Loop() {
		for i, r := range requests {
			start := processorTime(b)
			for range 2000 {
				if err := h.ServeHTTP(httptest.NewRecorder(), r, upstream); err != nil {
					b.Fatal(err)
				}
			}
			spent[i] += processorTime(b) - start
		}
		start := processorTime(b)
		route.run(b.Context(), canaryOperations)
		canary += processorTime(b) - start
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(spent[0].Nanoseconds())/float64(2000*b.N), "ns/told")
	b.ReportMetric(float64(spent[1].Nanoseconds())/float64(2000*b.N), "ns/untold")
	b.ReportMetric(100*float64(spent[0])/float64(spent[1])-100, "%/told")
	b.ReportMetric(100*float64(canary)/float64(b.N)/float64(canaryEvery), "%/canary")
}

// processorTime is how much this process used.
func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
