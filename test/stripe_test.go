package test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stripe/stripe-mock/embedded"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/caddy-minimize/minimize/module/openapi"
	"github.com/caddy-minimize/minimize/module/rulefile"
	"github.com/caddy-minimize/minimize/rules"
)

// stripePlants are values in the example bodies that Stripe publishes with its document: where they stand in a customer or a
// charge, what they are, what support sees of them, and whether the base pack knows the name without any annotation.
var stripePlants = []struct {
	resource, at, value, support string
	named                        bool
}{
	{"customer", "email", "renate.vogel@example.net", "****", true},
	{"customer", "name", "Renate Vogel", "R***", true},
	{"customer", "phone", "+4917012345678", "************78", true},
	{"customer", "description", "met at the fair in Ulm", "", false},
	{"customer", "invoice_prefix", "QX7RTEW1", "Q******1", false},
	{"customer", "metadata", `{"crm":"zephyr-5521"}`, "", false},
	{"customer", "address.line1", "Lindengasse 4", "****", true},
	{"customer", "shipping.address.city", "Blaubeuren", "****", true},
	{"charge", "billing_details.address.line2", "Hinterhaus links", "****", true},
	{"charge", "billing_details.name", "Anselm Roth", "A***", true},
	{"charge", "receipt_email", "anselm@example.org", "****", true},
	{"charge", "receipt_url", "https://pay.example.com/receipts/zk19fkq", "", false},
	{"charge", "payment_method_details.card.fingerprint", "AOB934RVNwzk6xtn", "", true},
	{"charge", "payment_method_details.card.last4", "7719", "", false},
}

// stripeExample is a resource of Stripe's own examples with the values in it.
func stripeExample(t *testing.T, resource string) string {
	t.Helper()
	body := gjson.GetBytes(embedded.OpenAPIFixtures, "resources."+resource).Raw
	if body == "" {
		t.Fatalf("Stripe has no example of a %s", resource)
	}
	for _, p := range stripePlants {
		if p.resource != resource {
			continue
		}
		var err error
		if strings.HasPrefix(p.value, "{") {
			body, err = sjson.SetRaw(body, p.at, p.value)
		} else {
			body, err = sjson.Set(body, p.at, p.value)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return body
}

// stripeSpec lays Stripe's public document out where the overlay expects it.
func stripeSpec(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "vendor"), 0o700); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"vendor/spec3.json": embedded.OpenAPISpec}
	for _, name := range []string{"overlay.yaml", "rules.yaml"} {
		data, err := os.ReadFile("testdata/stripe/" + name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = data
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestStripe puts the gateway in front of an API that was not written here, described by its own public document and
// annotated by an overlay.
func TestStripe(t *testing.T) {
	customer, charge := stripeExample(t, "customer"), stripeExample(t, "charge")
	expanded, err := sjson.SetRaw(charge, "customer", customer)
	if err != nil {
		t.Fatal(err)
	}
	id := newIssuer(t)
	backend := startBackend(t, map[string][]byte{
		"/v1/customers/cus_1": []byte(customer),
		"/v1/customers":       []byte(`{"object":"list","data":[` + customer + `],"has_more":false,"url":"/v1/customers"}`),
		"/v1/charges/ch_1":    []byte(charge),
		"/v1/refunds/re_1":    []byte(`{"object":"refund","charge":` + expanded + `}`), // schemas that lead to each other
	})
	paths := []struct{ path, customer, charge string }{ // where they stand in the answer
		{"/v1/customers/cus_1", "@this", ""},
		{"/v1/customers", "data.0", ""},
		{"/v1/charges/ch_1", "", "@this"},
		{"/v1/refunds/re_1", "charge.customer", "charge"},
	}
	dir := stripeSpec(t)
	for documents, roles := range map[string][]string{"overlay.yaml rules.yaml": {"support", "billing", "nobody"}, "rules.yaml": {"support"}} {
		t.Run(documents, func(t *testing.T) {
			gateway := startStripe(t, dir, documents, id.public, backend)
			for _, role := range roles {
				for _, p := range paths {
					a := getWith(t, gateway+p.path, id.bearer(t, "s-1", role, "payments", "DE"))
					if a.status != http.StatusOK {
						t.Fatalf("%s: %s", p.path, a.everything())
					}
					for resource, at := range map[string]string{"customer": p.customer, "charge": p.charge} {
						if at != "" {
							checkStripe(t, p.path, resource, gjson.Get(a.body, at), role, documents)
						}
					}
				}
			}
		})
	}
}

// checkStripe looks at every planted value of a resource as this role got it.
func checkStripe(t *testing.T, path, resource string, got gjson.Result, role, documents string) {
	t.Helper()
	if got.Get("object").String() != resource || got.Get("created").Raw == "" {
		t.Errorf("%s: the %s has lost what is nobody's: %s", path, resource, got.Raw)
	}
	for _, p := range stripePlants {
		if p.resource != resource {
			continue
		}
		want := p.support
		switch {
		case role == "billing":
			want = p.value
			if p.at == "receipt_url" { // a link that shows the receipt to whoever has it
				want = ""
			}
		case role == "nobody":
			want = ""
		case documents == "rules.yaml" && !p.named:
			want = p.value
		case documents == "rules.yaml":
			continue // the base pack knows it, in its own way
		}
		if have := got.Get(p.at).String(); have != want {
			t.Errorf("%s: %s %s is %q for %s, want %q", path, resource, p.at, have, role, want)
		}
	}
}

func startStripe(t *testing.T, dir, documents, key, backend string) string {
	t.Helper()
	address := freeAddress(t)
	startCaddy(t, filepath.Join(dir, "Caddyfile"), fmt.Sprintf(`{
	admin off
	persist_config off
	minimize {
		rules %s
	}
}
http://%s {
	minimize {
		%s
	}
	reverse_proxy %s
}
`, documents, address, callers(key), backend))
	return "http://" + address
}

// TestStripeCoverage lists what the overlay leaves without a rule, as `minimize coverage` does: not what it annotates, and what
// somebody would look at next.
func TestStripeCoverage(t *testing.T) {
	file := filepath.Join(stripeSpec(t), "overlay.yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	extended, err := rulefile.Extended(file, data)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := openapi.Read(openapi.Text{File: file, Data: data}, extended)
	if err != nil {
		t.Fatal(err)
	}
	d, err := spec.Document()
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := rules.Compile([]*rules.Document{d}, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	uncovered, all := spec.Coverage(compiled)
	t.Logf("%d of %d fields have no rule", len(uncovered), all)
	for _, f := range uncovered {
		if f.File != extended.File || f.Line < 1 {
			t.Errorf("%+v stands nowhere", f)
		}
		if f.In == "response" && strings.HasSuffix(f.Operation, "/customers/*") && slices.Contains([]string{"/email", "/description", "/invoice_prefix"}, f.Pointer) {
			t.Errorf("%s %s is annotated", f.Operation, f.Pointer)
		}
	}
	if all < 5000 || len(uncovered) == 0 || len(uncovered) > all/2 {
		t.Errorf("%d of %d fields have no rule", len(uncovered), all)
	}
	if !slices.ContainsFunc(uncovered, func(f openapi.Field) bool { return strings.HasSuffix(f.Pointer, "/statement_descriptor") }) {
		t.Error("what nobody annotated is not listed")
	}
}
