package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// visit is one request of the demo's own traffic.
type visit struct {
	as           string // a caller of the demo; "": without a token
	method, path string
	body         string
	want         int // the status that the demo's rules lead to
}

// demoVisitors come only in the demo's own traffic: buyers who change their minds, one who is abroad, and the people of a
// processor abroad.
func demoVisitors() []*demoCaller {
	buyer := func(id, country string) *demoCaller {
		return &demoCaller{Name: id, claims: map[string]any{"sub": id, "role": "customer", "purpose": "own_orders", "country": country}}
	}
	return []*demoCaller{
		buyer("c-1003", "CN"), buyer("c-1005", "IT"), buyer("c-1006", "DE"), buyer("c-1008", "CN"),
		{Name: "nordic-care", claims: map[string]any{"sub": "n-8", "organisation": "nordic-care", "purpose": "after_sales", "country": "SE"}},
	}
}

const (
	demoParcels = "/to/warehouse/parcels"
	demoAds     = "/to/ads-partner/events"
	demoSharing = demoConsent + "?recipient=ads-partner"
	separate    = `{"event_type": "separate"}`
)

// demoVisits is a round of the traffic: four times the shop's work, and between them somebody who changes their mind or
// asks for what they may not have. Li Na and the second buyer change nothing: their consents are the user's to try.
func demoVisits() ([]visit, error) {
	data, err := demoFiles.ReadFile("demo/orders.json")
	if err != nil {
		return nil, err
	}
	orders := gjson.ParseBytes(data).Array()
	return slices.Concat(
		[]visit{{"c-1003", http.MethodPut, demoSharing, separate, 204}, {"c-1008", http.MethodPut, demoSharing, separate, 204}},
		demoWork(orders, 0, 200),
		[]visit{{"c-1005", http.MethodPut, demoConsent, demoLevel, 204}, {"support", http.MethodGet, demoExport, "", 403}},
		demoWork(orders, 2, 200),
		[]visit{{"c-1008", http.MethodDelete, demoSharing, "", 204}},
		demoWork(orders, 4, 403),
		[]visit{{"c-1005", http.MethodDelete, demoConsent, "", 204}, {"marketing", http.MethodGet, demoExport, "", 403}},
		demoWork(orders, 6, 403),
	), nil
}

// demoWork reads, sends two parcels, and tells the ads partner of c-1003, who agreed, and of c-1008, who may have.
func demoWork(orders []gjson.Result, parcel, aboutC1008 int) []visit {
	reads := func(as, path string) visit { return visit{as, http.MethodGet, path, "", 200} }
	sends := func(path, body string, want int) visit { return visit{"", http.MethodPost, path, body, want} }
	return []visit{
		reads("support", "/api/orders"), sends(demoParcels, orders[parcel].Raw, 200), reads("customer", "/api/orders"),
		reads("courier", "/api/orders"), sends(demoAds, demoEvent(orders[5]), 200), reads("fraud", "/api/orders"),
		reads("support", "/api/stock"), reads("nordic-care", "/api/orders"), reads("c-1006", "/api/orders"),
		sends(demoParcels, orders[parcel+1].Raw, 200), reads("marketing", "/api/orders"), reads("anonymous", "/api/orders"),
		sends(demoAds, demoEvent(orders[8]), aboutC1008),
	}
}

// demoEvent is what the shop tells its ads partner when the buyer of an order looks at something.
func demoEvent(order gjson.Result) string {
	return fmt.Sprintf(`{"event": "view", "buyer": {"id": %s}, "device": {"oaid": %s, "ip": %s}}`,
		order.Get("buyer.id").Raw, order.Get("device.oaid").Raw, order.Get("device.ip").Raw)
}

// traffic makes a round of requests at once, so that there is something to see, and goes on with some in a second.
func (d *demo) traffic(ctx context.Context) {
	const often = 400 * time.Millisecond
	visits, err := demoVisits()
	if err != nil {
		return // no file, no traffic: the shop would not have started either
	}
	for _, v := range visits {
		_, _ = d.visit(ctx, v) // what the user makes of the rules is not the traffic's to judge
	}
	tick := time.NewTicker(often)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_, _ = d.visit(ctx, visits[i%len(visits)])
		}
	}
}

// visit makes one request and returns the status.
func (d *demo) visit(ctx context.Context, v visit) (int, error) {
	request, err := http.NewRequestWithContext(ctx, v.method, d.url+v.path, strings.NewReader(v.body))
	if err != nil {
		return 0, err
	}
	if v.body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	everybody := slices.Concat(d.callers, d.visitors)
	if i := slices.IndexFunc(everybody, func(c *demoCaller) bool { return c.Name == v.as && c.token != "" }); i >= 0 {
		request.Header.Set("Authorization", "Bearer "+everybody[i].token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// newPartner is the demo's recipient: it takes what it gets.
func newPartner() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]bool{"accepted": true}) // a client that is gone needs no answer
	})
}
