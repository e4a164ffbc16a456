package minimize

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"github.com/caddy-minimize/minimize/rules"
)

// hostileMark is in everything that a hostile caller makes up.
const hostileMark = "zqx"

// gathered are all metrics, clean to Prometheus's own linter and to its pedantic registry.
func gathered(t *testing.T) []*dto.MetricFamily {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	for _, c := range collectors.all {
		registry.MustRegister(c)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// seriesOf counts the series, and looks for what a caller made up.
func seriesOf(t *testing.T, families []*dto.MetricFamily) (n int) {
	t.Helper()
	for _, f := range families {
		n += len(f.GetMetric())
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				for _, made := range []string{hostileMark, somePhone, someIMEI} {
					if strings.Contains(strings.ToLower(l.GetValue()), made) {
						t.Errorf("%s has the label %s=%q", f.GetName(), l.GetName(), l.GetValue())
					}
				}
			}
		}
	}
	return n
}

// TestCardinality: 10,000 hostile callers, with words of their own wherever they can put one, make no series beyond those that
// the rules and the configuration name (threat H2). The second half of them makes none at all.
func TestCardinality(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		word := r.URL.Query().Get("word")
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-"+word, word)
		fmt.Fprintf(w, `{%q:1,"orders":[{"buyer":%[1]q,"phone":%q,"imei":%q,%[1]q:{"email":"%[1]s@example.com"}}]}`, word, somePhone, someIMEI)
	}))
	t.Cleanup(backend.Close)
	upstream := strings.TrimPrefix(backend.URL, "http://")
	i := newIssuer(t)
	g := prepare(t)
	g.write("rules/shop.yaml", abroadRules(upstream))
	g.write("rules/next.yaml", "minimize: 1\ncandidate: true\nundeclared: strip\nlimit:\n  - {id: none, to: any, block: [device]}\n")
	g.write("issuer.pem", i.pem())
	site := strings.Replace(abroadSite, "handle {\n\tminimize {", "handle {\n\tminimize {\n\t\tinbound", 1)
	reports := "handle_path /report/* {" + strings.Replace(site[strings.Index(site, "\nhandle {")+len("\nhandle {"):], "inbound", "mode report", 1)
	site = strings.NewReplacer("{issuer}", i.server.URL, "purpose after_sales", "purpose {claim.purpose}").Replace(reports + "\n" + site)
	site = strings.Replace(site, "minimize_egress ads {\n\t\tpurpose {claim.purpose}", "minimize_egress ads {\n\t\tpurpose after_sales", 1)
	if err := g.load(upstream, "", site); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: hostileWorkers}
	t.Cleanup(transport.CloseIdleConnections)
	hostile := &hostileCallers{t: t, issuer: i, url: g.url, client: &http.Client{Transport: transport}}

	streams := counter(t, "caddy_minimize_streams")
	before := seriesOf(t, gathered(t))
	hostile.come(0, 5000)
	half := seriesOf(t, gathered(t))
	hostile.come(5000, 10_000)
	after := seriesOf(t, gathered(t))
	if after != half {
		t.Errorf("the second 5,000 callers made %d new series", after-half)
	}
	set := running.Load().rules(new(route)).enforced
	if most := mostSeries(set, 1, 2); after-before > most {
		t.Errorf("%d series are new, and the rules have words for %d", after-before, most)
	}
	if after == before {
		t.Error("nothing was counted")
	}
	eventually(t, func() bool { return counter(t, "caddy_minimize_streams") == streams })
	t.Logf("%d series, %d of them new", after, after-before)
}

// mostSeries is how many series messages can make under these rules.
func mostSeries(set *rules.Ruleset, roles, recipients int) int {
	roles += len([]string{"other", "none", rules.Anonymous})
	receivers, places := recipients+len([]string{"callers", "other"}), len(set.Places())+len([]string{"unknown", "other"})
	became := len(outcomes) + rules.ReasonCount
	one := len(set.Categories())*rules.ActionCount*roles + became*roles // values, messages and refusals
	egress := recipients * became
	disclosures := len(set.Categories()) * receivers * places
	const because = 2                                                                       // report mode and candidates
	return (1+because)*(one+egress) + disclosures + rules.ActionCount + len(allCountries()) // people_abroad
}

// allCountries are those of ISO 3166-1.
var allCountries = sync.OnceValue(func() (codes []string) {
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			if code := string([]rune{a, b}); rules.IsCountry(code) {
				codes = append(codes, code)
			}
		}
	}
	return codes
})

// hostileCountry is one of them, or now and then the home.
func hostileCountry(n int) string {
	if n%3 == 0 {
		return "CN"
	}
	return allCountries()[n%len(allCountries())]
}

const hostileWorkers = 32

type hostileCallers struct {
	t      *testing.T
	issuer *issuer
	url    string
	client *http.Client
}

// come has callers from one number to another send a request each, some at a time.
func (h *hostileCallers) come(from, to int) {
	h.t.Helper()
	var workers sync.WaitGroup
	for worker := range hostileWorkers {
		workers.Go(func() {
			for n := from + worker; n < to; n += hostileWorkers {
				h.send(n)
			}
		})
	}
	workers.Wait()
}

// send sends a request in which every word is one of its own, or now and then the right one, so that it gets far.
func (h *hostileCallers) send(n int) {
	word := fmt.Sprintf("%s%d", hostileMark, n)
	pick := func(digit int, right string) string {
		if n/digit%3 == 0 {
			return word
		}
		return right
	}
	token := h.issuer.mint(map[string]any{
		"sub": word, "role": pick(1, "support"), "org": pick(3, []string{"desk", ""}[n%2]), "country": pick(9, hostileCountry(n)),
		"purpose": pick(27, "after_sales"),
	})
	if n%50 == 0 {
		token = word
	}
	body := fmt.Sprintf(`{%q:%[1]q,"imei":%q,"orders":[{"buyer":%[1]q}]}`, word, someIMEI)
	path := []string{"/api/", "/ads/", "/report/", "/ads/"}[n%4] + word + "?word=" + word + "&imei=" + someIMEI
	method := []string{"POST", "GET", "POST", "PUT", strings.ToUpper(word)}[n%5]
	req, err := http.NewRequest(method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.t.Error(err)
		return
	}
	req.Header = http.Header{
		"Authorization": {"Bearer " + token}, "Content-Type": {pick(81, "application/json")}, "X-" + word: {word}, "Cookie": {word + "=" + word},
	}
	res, err := h.client.Do(req)
	if err != nil {
		h.t.Error(err)
		return
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body) // so that the connection is used again
}
