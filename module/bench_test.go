package minimize

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
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
	files := &files{rules: []file{{"shop.yaml", []byte(shopRules)}}}
	app := &App{metrics: collectors, audit: new(audit), routes: nil}
	app.current.Store(new(snapshot))
	var err error
	if app.loaded, err = load(files); err != nil {
		b.Fatal(err)
	}
	h := &Handler{Mode: modeEnforce, app: app, metrics: collectors, route: new(route), caller: new(caller)}
	if err := app.add(h.route); err != nil {
		b.Fatal(err)
	}
	if h.headers, err = newHeaderRules(h); err != nil {
		b.Fatal(err)
	}
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
