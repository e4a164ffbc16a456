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
		{"codropshipping", []exampleCall{
			{site: "8080", path: "/api/users/u1", user: "cs_agent", purpose: "after_sales", status: 200, has: []string{"Mate 60", "86053103*******"}, hasNot: []string{"张", "138"}},
			{site: "8080", path: "/api/search", body: `{"kw":"tracking","device":{"model":"Mate 60","imei":"860531030123452","oaid":"1fe9a970-efbb-29e0-0bdd-f5dbbf751ab5"}}`, status: 200, has: []string{"tracking", "Mate 60", "00000000-0000"}, hasNot: []string{"imei", "1fe9a970"}},
			{site: "8081", path: "/ads/bid", subject: "u1", body: `{"oaid":"1fe9a970-efbb-29e0-0bdd-f5dbbf751ab5","tags":["cargo"],"ip":"114.80.166.240","phone":"13800138000"}`, status: 200, has: []string{"00000000-0000", "114.80.166.0"}, hasNot: []string{"hm1_", "cargo", "phone"}},
			{site: "8081", path: "/ga-us/collect", subject: "u1", body: `{"userId":"u1","ip":"114.80.166.240"}`, status: 451, has: []string{`"country"`}, hasNot: []string{"114.80"}},
			{site: "8082", path: "/api/users/u1", user: "cs_agent", purpose: "after_sales", status: 451, has: []string{`"country"`}, hasNot: []string{"Mate 60"}},
		}, []exampleCall{
			{site: "8080", path: "/api/users/u1", user: "cs_agent", purpose: "after_sales", status: 200, has: []string{"张*", "138****8000", "86053103*******"}, hasNot: []string{"张伟", "1fe9a970"}},
			{site: "8080", path: "/api/users/u2", user: "cs_agent", purpose: "after_sales", status: 200, has: []string{"P60"}, hasNot: []string{"李", "139"}},
			{site: "8081", path: "/ads/bid", subject: "u1", body: `{"oaid":"1fe9a970-efbb-29e0-0bdd-f5dbbf751ab5","tags":["cargo"],"ip":"114.80.166.240","phone":"13800138000"}`, status: 200, has: []string{"hm1_", "cargo", "114.80.166.0"}, hasNot: []string{"1fe9a970", "phone"}},
			{site: "8081", path: "/ads/bid", subject: "u2", body: `{"oaid":"1fe9a970-efbb-29e0-0bdd-f5dbbf751ab5","tags":["cargo"]}`, status: 200, has: []string{"00000000-0000"}, hasNot: []string{"hm1_", "cargo"}},
		}},
		{"kangaroo-mall", []exampleCall{
			{site: "8080", path: "/api/users/u1", user: "cs_agent", purpose: "after_sales", status: 200, has: []string{"K1"}, hasNot: []string{"伟", "138", "f-1"}},
		}, []exampleCall{
			{site: "8081", path: "/pay/calls", body: `{"orderNo":"K20221","amount":"21.42","consignee":"张伟","mobile":"13800138000","imei":"860531030123452"}`, status: 200, has: []string{"K20221", "21.42"}, hasNot: []string{"张", "138", "8605"}},
			{site: "8080", path: "/api/risk", user: "u1", purpose: "anti_fraud", body: `{"serialNo":"SN88","faceImage":"/9j/4AAQ","gps":{"lat":31.19,"lng":121.43},"battery":81}`, status: 200, has: []string{"SN88", "81"}, hasNot: []string{"4AAQ", "31."}},
			{site: "8080", path: "/api/users/u1", user: "cs_agent", purpose: "after_sales", status: 200, has: []string{"伟哥", "138****8000", "K1"}, hasNot: []string{"8605", "f-1"}},
			{site: "8080", path: "/api/users/u2", user: "cs_agent", purpose: "after_sales", status: 200, has: []string{"K2"}, hasNot: []string{"娜", "139"}},
			{site: "8082", path: "/api/users/u2", user: "affiliate-b", purpose: "service", status: 200, has: []string{"hm1_", "s2"}, hasNot: []string{"娜", "139", "K2"}},
			{site: "8082", path: "/api/users/u2", user: "affiliate-b", purpose: "analytics", status: 403, has: []string{`"agreement"`}, hasNot: []string{"s2"}},
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
