package test

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPlatformExamples runs the examples of the platforms' packs as their first lines say.
func TestPlatformExamples(t *testing.T) {
	t.Setenv("MINIMIZE_KEYS", keyDirectory(t))
	for _, example := range []struct {
		name   string
		before []exampleCall // the people are imported
		after  []exampleCall
	}{
		{"bags", []exampleCall{
			{site: "8080", path: "/api/orders/B-1001", user: "order_ops", purpose: "orders", status: 200, has: []string{"Anna Weber", "Hauptstr. 5", "************1111", "+49 170***4567"}, hasNot: []string{"123", "anna.weber"}},
			{site: "8080", path: "/api/campaigns/7/orders", user: "marketing", purpose: "direct_marketing", status: 200, has: []string{"A***", "************1111"}, hasNot: []string{"Anna", "anna.weber"}},
			{site: "8080", path: "/api/orders/B-1001", user: "cs_agent", purpose: "after_sales", status: 200, has: []string{"B-1001", "A***"}, hasNot: []string{"Anna", "+49", "Hauptstr"}},
			{site: "8081", path: "/out/carrier/parcels", body: `{"orderId":"B-1001","name":"Anna Weber","address":"Hauptstr. 5, Berlin","email":"anna.weber@example.de","cardNumber":"4111111111111111"}`, status: 200, has: []string{"B-1001", "Anna Weber", "Hauptstr"}, hasNot: []string{"anna.weber", "1111111"}},
			{site: "8081", path: "/out/mkt-1/audience", subject: "u7", body: `{"email":"anna.weber@example.de"}`, status: 403, has: []string{`"consent"`}, hasNot: []string{"anna.weber"}},
			{site: "8080", path: "/api/customers/u7", user: "marketing", purpose: "direct_marketing", status: 200, has: []string{"a***@example.de"}},
		}, []exampleCall{
			{site: "8080", path: "/api/customers/u7", user: "marketing", purpose: "direct_marketing", status: 200, has: []string{"u7"}, hasNot: []string{"example.de"}},
		}},
		{"mori", nil, []exampleCall{
			{site: "8080", path: "/api/customers", user: "lender", purpose: "collection", status: 200, has: []string{"王强", "5000", "3****************5", `"contacts":[]`}, hasNot: []string{"李娜", "300", "13900139000"}},
			{site: "8081", path: "/out/messages/send", body: `{"to":["13900139000","13700137000"],"text":"王强 欠款5000元逾期"}`, status: 403, has: []string{"stand-in-without-debts", "PIPL 25"}, hasNot: []string{"13900139000", "欠款"}},
			{site: "8081", path: "/out/messages/send", body: `{"to":"13800138000","text":"取件码 8812","name":"王强","student":"王小明"}`, status: 200, has: []string{"13800138000", "取件码 8812"}, hasNot: []string{"王"}},
			{site: "8081", path: "/out/factory-1/sizes", body: `{"orders":[{"student":"王小明","studentId":"s1","school":"某小学","size":"140"},{"student":"李小红","studentId":"s2","size":"130"}]}`, status: 200, has: []string{"王**", "某小学", "140"}, hasNot: []string{"小明", "李", "s1", "130"}},
			{site: "8080", path: "/api/parties/p1", user: "other_user", purpose: "lawsuit", status: 200, has: []string{"王*", "上海市徐汇区****"}, hasNot: []string{"虹桥路", "310104"}},
		}},
		{"ecp", nil, []exampleCall{
			{site: "8080", path: "/api/customers/customer", user: "customer", purpose: "own_data", status: 200, has: []string{"Mario Rossi", "************1111"}, hasNot: []string{"securityCode", "4111111"}},
			{site: "8081", path: "/out/payments/tokens", body: `{"card":{"number":"4111111111111111","exp":"09/28","securityCode":"123"},"email":"mario.rossi@example.it"}`, status: 200, has: []string{"4111111111111111", `"123"`}, hasNot: []string{"mario"}},
			{site: "8080", path: "/api/inquiries/q1", user: "counterparty", purpose: "share_viewed", status: 200, has: []string{"b1", "s2"}},
			{site: "8080", path: "/api/inquiries/q2", user: "counterparty", purpose: "share_viewed", status: 200, has: []string{"q2", "[]"}, hasNot: []string{"s3"}},
			{site: "8081", path: "/out/aff-cn/users", body: `{"email":"mario.rossi@example.it"}`, status: 451, has: []string{`"transfer"`}, hasNot: []string{"mario"}},
			{site: "8082", path: "/api/customers/customer", user: "ops_position", purpose: "operations", status: 451, has: []string{`"country"`}, hasNot: []string{"Mario", "mario"}},
		}},
	} {
		t.Run(example.name, func(t *testing.T) {
			file, sites := startPlatform(t, example.name)
			for _, c := range example.before {
				c.check(t, sites)
			}
			command := exec.Command("go", "run", "../cmd/minimize", "consent", "import", "--config", file, filepath.Join(filepath.Dir(file), "people.ndjson"))
			if out, err := command.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, c := range example.after {
				c.check(t, sites)
			}
		})
	}
}

// startPlatform runs a copy of an example on free ports. It returns the Caddyfile, and the address of each of its ports.
func startPlatform(t *testing.T, example string) (file string, sites map[string]string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../caddyfile-examples/"+example)); err != nil {
		t.Fatal(err)
	}
	sites = map[string]string{}
	var moved []string
	for _, port := range []string{"8080", "8081", "8082", "9000", "9001"} {
		sites[port] = freeAddress(t)
		moved = append(moved, "localhost:"+port, sites[port], "127.0.0.1:"+port, sites[port])
	}
	var caddyfile string
	for _, pattern := range []string{"*.yaml", "Caddyfile"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file = range names {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			caddyfile = strings.NewReplacer(moved...).Replace(string(text))
			if err := os.WriteFile(file, []byte(caddyfile), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	startCaddy(t, file, withoutAdmin(caddyfile))
	return file, sites
}

// exampleCall is a line with curl, and what comes back.
type exampleCall struct {
	site, path, user, purpose, subject, body string
	status                                   int
	has, hasNot                              []string
}

func (c exampleCall) check(t *testing.T, sites map[string]string) {
	t.Helper()
	method := http.MethodGet
	if c.body != "" {
		method = http.MethodPost
	}
	request, err := http.NewRequest(method, "http://"+sites[c.site]+c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	if c.user != "" {
		request.Header = basicAuth(c.user, c.purpose)
	}
	if c.body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.subject != "" {
		request.Header.Set("X-Subject", c.subject)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != c.status {
		t.Errorf("%s: status %d, want %d\n%s", c.path, response.StatusCode, c.status, answer)
	}
	for _, s := range c.has {
		if !strings.Contains(string(answer), s) {
			t.Errorf("%s: the answer lacks %q\n%s", c.path, s, answer)
		}
	}
	for _, s := range c.hasNot {
		if strings.Contains(string(answer), s) {
			t.Errorf("%s: the answer holds %q\n%s", c.path, s, answer)
		}
	}
}
