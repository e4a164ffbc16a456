package test

import (
	"os"
	"testing"
)

const (
	listCustomers = "/api/collections/customers/records?perPage=500"
	listOrders    = "/api/collections/orders/records?perPage=500&expand=buyer"
)

// TestRealBackend reads 40 customers and 200 orders of a PocketBase through the gateway, as every role of its rules.
func TestRealBackend(t *testing.T) {
	backend := startPocketBase(t)
	people, bought := shop(40, 200)
	ids := backend.fill(people, bought)
	var secrets []planted
	for _, c := range people {
		secrets = append(secrets, c.planted...)
	}
	for _, o := range bought {
		secrets = append(secrets, o.planted...)
	}

	const file = "testdata/pocketbase/Caddyfile"
	caddyfile, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	gateway, id := freeAddress(t), newIssuer(t)
	t.Setenv("GATEWAY", "http://"+gateway)
	t.Setenv("BACKEND", backend.url)
	t.Setenv("ISSUER_KEY", id.public)
	startCaddy(t, file, string(caddyfile))

	paths := []string{listCustomers, listOrders, "/api/collections/customers/records/" + ids[0], "/api/collections/nothing/records"}

	// With full rights the gateway is not there: this also proves that the search below can find what it looks for.
	auditor := id.token(t, map[string]any{"sub": "auditor-1", "role": "auditor", "purpose": "audit"})
	var everything string
	for _, path := range paths {
		direct, through := get(t, backend.url+path, ""), get(t, "http://"+gateway+path, auditor)
		if through.status != direct.status || through.body != direct.body {
			t.Errorf("%s with full rights: status %d and %d bytes, want the backend's own %d and %d", path, through.status, len(through.body), direct.status, len(direct.body))
		}
		everything += through.everything()
	}
	if found := len(leaks(everything, secrets)); found*1000 < len(secrets)*999 {
		t.Fatalf("with full rights %d of %d secrets were found, want at least 99.9 %%", found, len(secrets))
	}

	for _, role := range []struct {
		role, purpose string
		may           map[string]bool // the kinds of secrets that the rules give it whole
	}{
		{"", "", nil},
		{"support", "after_sales", nil},
		{"courier", "delivery", map[string]bool{"name": true, "phone": true, "consignee": true}},
		{"finance", "accounting", map[string]bool{"name": true, "bank": true, "card": true}},
		{"fraud", "anti_fraud", map[string]bool{"device": true, "ip": true}},
		{"support", "advertising", nil}, // a purpose that no rule gives it
		{"stranger", "after_sales", nil},
	} {
		t.Run(role.role+"/"+role.purpose, func(t *testing.T) {
			token := ""
			if role.role != "" {
				token = id.token(t, map[string]any{"sub": role.role + "-1", "role": role.role, "purpose": role.purpose})
			}
			var everything string
			for _, path := range paths {
				everything += get(t, "http://"+gateway+path, token).everything()
			}
			found := map[planted]bool{}
			for _, p := range leaks(everything, secrets) {
				found[p] = true
			}
			wrong := map[string]int{}
			for _, p := range secrets {
				if found[p] != role.may[p.kind] {
					wrong[p.kind]++
				}
			}
			for kind, n := range wrong {
				t.Errorf("%d secrets of kind %q: in the answers is %t, want %t", n, kind, !role.may[kind], role.may[kind])
			}
		})
	}
}
