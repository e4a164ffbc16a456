package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"
)

// demoRows are the places of an answer that the table shows, as gjson paths.
var demoRows = []struct{ Label, path string }{
	{"order_no", "orders.0.order_no"},
	{"status", "orders.0.status"},
	{"items", "orders.0.items.0.name"},
	{"amount", "orders.0.amount"},
	{"buyer name", "orders.0.buyer.name"},
	{"phone", "orders.0.buyer.phone"},
	{"email", "orders.0.buyer.email"},
	{"id_card", "orders.0.buyer.id_card"},
	{"street", "orders.0.consignee.address.street"},
	{"card_number", "orders.0.payment.card_number"},
	{"card_expiry", "orders.0.payment.card_expiry"},
	{"imei", "orders.0.device.imei"},
	{"iccid", "orders.0.device.iccid"},
	{"ip", "orders.0.device.ip"},
	{"remark", "orders.0.remark"},
	{"next buyer", "orders.1.buyer.name"},
}

// demoSeen is what the callers got.
type demoSeen struct {
	Callers []*demoCaller
	Rows    []demoRow
	Refused demoRefused
	bodies  map[string]bool // the answers, to count different ones
	metrics string
}

type demoRow struct {
	Label string
	Cells []demoCell // by caller
}

// demoCell is one value as one caller sees it.
type demoCell struct{ Text, Kind string }

// The kinds of cells, by what happened to the value on its way.
const (
	cellWhole   = "whole"
	cellChanged = "changed"
	cellGone    = "gone"
)

// demoRefused is the answer to a request that the rules refuse as a whole.
type demoRefused struct {
	Status       int
	Reason, Rule string
}

// ask asks for the orders as every caller, once for something that is refused, and for the metrics.
func (d *demo) ask(ctx context.Context) (*demoSeen, error) {
	seen := &demoSeen{Callers: d.callers, bodies: map[string]bool{}}
	orders, err := demoFiles.ReadFile("demo/orders.json")
	if err != nil {
		return nil, err
	}
	whole := fmt.Sprintf(`{"orders": %s}`, orders)
	for _, row := range demoRows {
		seen.Rows = append(seen.Rows, demoRow{Label: row.Label})
	}
	for _, caller := range d.callers {
		status, body, err := d.get(ctx, "/api/orders", caller)
		if err != nil {
			return nil, err
		}
		seen.bodies[body] = true
		for i, row := range demoRows {
			cell := cellOf(gjson.Get(body, row.path), gjson.Get(whole, row.path))
			if i == 0 && status != http.StatusOK { // somebody changed the rules
				cell = demoCell{fmt.Sprintf("refused with %d", status), cellChanged}
			}
			seen.Rows[i].Cells = append(seen.Rows[i].Cells, cell)
		}
	}
	status, problem, err := d.get(ctx, demoExport, d.callers[demoRefusedCaller])
	if err != nil {
		return nil, err
	}
	seen.Refused = demoRefused{status, gjson.Get(problem, "reason").Str, gjson.Get(problem, "rule").Str}
	_, seen.metrics, err = d.get(ctx, "/metrics", &demoCaller{})
	return seen, err
}

// What is refused: the export, which the browser would save as a file, to the support.
const (
	demoExport        = "/api/orders/export"
	demoRefusedCaller = 1
)

func (d *demo) get(ctx context.Context, path string, caller *demoCaller) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+path, nil)
	if err != nil {
		return 0, "", err
	}
	if caller.token != "" {
		request.Header.Set("Authorization", "Bearer "+caller.token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", fmt.Errorf("asking the gateway: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

func cellOf(got, whole gjson.Result) demoCell {
	switch {
	case !got.Exists():
		return demoCell{"", cellGone}
	case got.Raw == whole.Raw:
		return demoCell{got.String(), cellWhole}
	case got.Type == gjson.Null:
		return demoCell{"null", cellChanged}
	default:
		return demoCell{got.String(), cellChanged}
	}
}

// check holds what the demo promises: five different answers, a refusal that says why, and metrics that counted them.
func (s *demoSeen) check() error {
	var wrong []error
	if len(s.bodies) != len(s.Callers) {
		wrong = append(wrong, fmt.Errorf("%d callers got only %d different answers", len(s.Callers), len(s.bodies)))
	}
	if s.Refused.Status != http.StatusForbidden || s.Refused.Reason != "limit" {
		wrong = append(wrong, fmt.Errorf("the export was answered with status %d and reason %q, not refused", s.Refused.Status, s.Refused.Reason))
	}
	if !strings.Contains(s.metrics, "\ncaddy_minimize_") {
		wrong = append(wrong, errors.New("the metrics page counts nothing of the gateway"))
	}
	return errors.Join(wrong...)
}
