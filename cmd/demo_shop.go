package cmd

import (
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
)

//go:embed demo
var demoFiles embed.FS

// newShop is the demo's backend: an API that hands out far more than its callers need, and the page about the demo.
func newShop(page http.HandlerFunc) (http.Handler, error) {
	orders, err := demoFiles.ReadFile("demo/orders.json")
	if err != nil {
		return nil, err
	}
	var all []json.RawMessage
	if err := json.Unmarshal(orders, &all); err != nil {
		return nil, fmt.Errorf("reading the demo's orders: %w", err)
	}
	list := fmt.Appendf(nil, `{"orders": %s, "total": %d}`, orders, len(all))

	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/orders", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(list) // a client that is gone needs no answer
	})
	mux.HandleFunc("GET /api/orders/export", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Disposition", `attachment; filename="orders.json"`)
		_, _ = w.Write(list)
	})
	mux.HandleFunc("GET /api/stock", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"items": [{"sku": "BG-2201", "left": 41, "counted_by": "周强"}, {"sku": "BT-0550", "left": 7, "counted_by": "周强"}]}`))
	})
	mux.HandleFunc("GET /{$}", page)
	return mux, nil
}
