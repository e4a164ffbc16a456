//go:build linux

package test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"go.yaml.in/yaml/v4"

	"github.com/caddy-minimize/minimize/test/missing"
)

// TestDashboards lets a Prometheus scrape the demo, and asks it what the dashboard and the alert rules ask.
func TestDashboards(t *testing.T) {
	binary := prometheusBinary(t)
	gateway, err := gatewayBinary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if out, err := exec.Command(gateway, "dashboards", "--write", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	demo, _ := startDemo(t, gateway)
	p := startPrometheus(t, binary, dir, demo)
	dashboard, err := os.ReadFile(filepath.Join(dir, "minimize-dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("panels", func(t *testing.T) { p.checkPanels(t, dashboard) })
	t.Run("variables", func(t *testing.T) { p.checkVariables(t, dashboard) })
	t.Run("alerts", func(t *testing.T) { p.checkAlerts(t, filepath.Join(dir, "minimize-alerts.yaml")) })
}

// prometheusServer is one that scrapes the demo each second.
type prometheusServer struct{ url string }

func prometheusBinary(t *testing.T) string {
	t.Helper()
	if binary, err := exec.LookPath("prometheus"); err == nil {
		return binary
	}
	if cache, err := os.UserCacheDir(); err == nil {
		if binary := filepath.Join(cache, "minimize-test", "prometheus", "usr", "bin", "prometheus"); exec.Command(binary, "--version").Run() == nil {
			return binary
		}
	}
	missing.Tool(t, "Prometheus is missing: test/run fetches it with Debian's package prometheus")
	return ""
}

// demoPlaces is what the demo prints of itself: where its metrics are, and its audit log.
var demoPlaces = regexp.MustCompile(`(?s)http://([^/\s]+)/metrics.*?(\S+)/audit\.jsonl`)

// startDemo runs the demo until the test ends and returns the address of its gateway, and its folder.
func startDemo(t *testing.T, gateway string) (address, dir string) {
	t.Helper()
	_, port, _ := strings.Cut(freeAddress(t), ":")
	demo := exec.Command(gateway, "demo", "--port", port, "--no-open")
	demo.Stderr = t.Output()
	out, err := demo.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	said, over := make(chan string, 1), make(chan struct{})
	t.Cleanup(func() {
		_ = demo.Process.Signal(syscall.SIGINT) // so that it removes its files
		<-over
		_ = demo.Wait()
	})
	go func() {
		defer close(over)
		defer close(said)
		var text strings.Builder
		for lines := bufio.NewScanner(out); lines.Scan(); { // to its end, or the demo waits for somebody to read
			if fmt.Fprintln(&text, lines.Text()); strings.Contains(lines.Text(), "Ctrl-C") {
				said <- text.String() // once
			}
		}
	}()
	select {
	case text := <-said:
		where := demoPlaces.FindStringSubmatch(text)
		if where == nil {
			t.Fatalf("the demo did not say where its metrics and its audit log are:\n%s", text)
		}
		return where[1], where[2]
	case <-time.After(time.Minute):
		t.Fatal("the demo did not say that it runs")
	}
	return "", ""
}

func startPrometheus(t *testing.T, binary, dir, target string) *prometheusServer {
	t.Helper()
	config := fmt.Sprintf(`global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [minimize-alerts.yaml]
scrape_configs:
  - job_name: minimize
    static_configs: [{targets: ["%s"]}]
`, target)
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	server := exec.Command(binary, "--config.file", file, "--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", address, "--log.level", "warn")
	server.Stderr = t.Output()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait() // it was killed: its exit status says nothing
	})
	p := &prometheusServer{"http://" + address}
	// A rate needs two scrapes; a histogram's quantiles, something between them.
	p.eventually(t, "ten scrapes of the demo", func() bool {
		return len(p.query(t, "count_over_time(caddy_minimize_rules_broken[5m]) >= 10")) > 0
	})
	return p
}

func (p *prometheusServer) eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for range 300 {
		if holds() {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Errorf("waited for a minute in vain for %s", what)
}

// get asks the HTTP API; nothing while Prometheus does not answer yet.
func (p *prometheusServer) get(t *testing.T, path string, query url.Values) gjson.Result {
	t.Helper()
	response, err := http.Get(p.url + path + "?" + query.Encode())
	if err != nil {
		return gjson.Result{}
	}
	defer response.Body.Close()
	var answer json.RawMessage
	if response.StatusCode == http.StatusServiceUnavailable { // it is starting
		return gjson.Result{}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	parsed := gjson.ParseBytes(answer)
	if parsed.Get("status").Str != "success" {
		t.Errorf("%s %v: %s", path, query, parsed.Get("error").Str)
	}
	return parsed.Get("data")
}

// query returns the series of an answer that have a value.
func (p *prometheusServer) query(t *testing.T, expr string) (series []gjson.Result) {
	t.Helper()
	for _, s := range p.get(t, "/api/v1/query", url.Values{"query": {expr}}).Get("result").Array() {
		if s.Get("value.1").Str != "NaN" {
			series = append(series, s)
		}
	}
	return series
}

// chosen puts in what Grafana would: all values of each variable, and a short range.
var chosen = strings.NewReplacer("$instance", ".*", "$role", ".*", "$recipient", ".*", "$__rate_interval", "1m", "$__range", "5m")

var legendLabels = regexp.MustCompile(`\{\{(\w+)\}\}`)

// checkPanels wants data for each query of each panel, with the labels that its legend and its table need.
func (p *prometheusServer) checkPanels(t *testing.T, dashboard []byte) {
	queries := 0
	gjson.GetBytes(dashboard, "panels").ForEach(func(_, panel gjson.Result) bool {
		labels := panel.Get("transformations.#(id=groupingToMatrix).options|[rowField,columnField]").Array()
		panel.Get("targets").ForEach(func(_, target gjson.Result) bool {
			queries++
			expr := chosen.Replace(target.Get("expr").Str)
			var series []gjson.Result
			p.eventually(t, "data of the panel "+panel.Get("title").Str+": "+expr, func() bool {
				series = p.query(t, expr)
				return len(series) > 0
			})
			needs := []string{}
			for _, l := range labels {
				needs = append(needs, l.Str)
			}
			for _, l := range legendLabels.FindAllStringSubmatch(target.Get("legendFormat").Str, -1) {
				needs = append(needs, l[1])
			}
			for _, s := range series {
				for _, label := range needs {
					if !s.Get("metric").Get(label).Exists() {
						t.Errorf("%s: a series lacks the label %s", panel.Get("title").Str, label)
					}
				}
			}
			return true
		})
		return true
	})
	if queries < 40 {
		t.Errorf("only %d queries were found in the dashboard", queries)
	}
}

// checkVariables wants values for each variable that a reader chooses from.
func (p *prometheusServer) checkVariables(t *testing.T, dashboard []byte) {
	values := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)
	gjson.GetBytes(dashboard, "templating.list").ForEach(func(_, variable gjson.Result) bool {
		if variable.Get("type").Str != "query" {
			return true
		}
		parts := values.FindStringSubmatch(variable.Get("query").Str)
		if parts == nil {
			t.Errorf("%s: %s", variable.Get("name"), variable.Get("query"))
			return true
		}
		found := p.get(t, "/api/v1/label/"+parts[2]+"/values", url.Values{"match[]": {chosen.Replace(parts[1])}}).Array()
		if len(found) == 0 {
			t.Errorf("there is nothing to choose from for %s", variable.Get("name").Str)
		}
		return true
	})
}

// checkAlerts wants every rule to be evaluated without an error, over metrics that exist, and none to be about to fire:
// the demo's gateway is a healthy one, with a few refusals.
func (p *prometheusServer) checkAlerts(t *testing.T, file string) {
	rules := func() []gjson.Result { return p.get(t, "/api/v1/rules", nil).Get("groups.#.rules|@flatten").Array() }
	p.eventually(t, "each rule to be evaluated", func() bool {
		for _, r := range rules() {
			if r.Get("health").Str == "unknown" {
				return false
			}
		}
		return true
	})
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var written struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal(data, &written); err != nil {
		t.Fatal(err)
	}
	loaded := 0
	for _, r := range rules() {
		loaded++
		if r.Get("health").Str != "ok" || r.Get("state").Str != "inactive" {
			t.Errorf("%s is %s, and its evaluation %s %s", r.Get("name"), r.Get("state"), r.Get("health"), r.Get("lastError"))
		}
	}
	metric := regexp.MustCompile(`caddy_minimize_\w+`)
	for _, group := range written.Groups {
		for _, r := range group.Rules {
			loaded--
			if found := p.query(t, r.Expr); len(found) > 0 {
				t.Errorf("%s would fire: %s", r.Alert, found[0].Raw)
			}
			for _, name := range metric.FindAllString(r.Expr, -1) {
				if name == "caddy_minimize_drift_total" { // the demo's shop keeps to its OpenAPI document
					continue
				}
				if len(p.query(t, name)) == 0 {
					t.Errorf("%s asks for %s, which there is not", r.Alert, name)
				}
			}
		}
	}
	if loaded != 0 {
		t.Errorf("%d rules more are loaded than are written", loaded)
	}
}
