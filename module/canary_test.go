package minimize

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-minimize/minimize/module/rulefile"
	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/body"
	"github.com/caddy-minimize/minimize/rules/detect"
)

// TestCanaryShapes: what the canary plants is what detectors recognize, or it would prove nothing.
func TestCanaryShapes(t *testing.T) {
	if len(canaryShapes) != len(detect.Detectors) {
		t.Errorf("%d shapes of %d detectors", len(canaryShapes), len(detect.Detectors))
	}
	for _, d := range detect.Detectors {
		shape := canaryShapes[d.Name]
		context := detect.ContextOf(detect.Fold([]byte(shape.under)))
		for _, text := range []string{shape.text(), fmt.Sprintf("as told, %s and no more", shape.text())} {
			hits := detect.All.Find(nil, []byte(text), context)
			if len(hits) != 1 || text[hits[0].Start:hits[0].End] != shape.value || detect.Detectors[hits[0].Kind].Name != d.Name {
				t.Errorf("%s: %q has the hits %v", d.Name, text, hits)
			}
		}
		if kind, ok := detect.All.Number([]byte(shape.value), 0); shape.isNumber() && (!ok || detect.Detectors[kind].Name != d.Name) {
			t.Errorf("%s is no number", d.Name)
		}
	}
}

// scraped are the series of a metric, as Prometheus gets them.
func (g *gateway) scraped(name string) (series []string) {
	for line := range strings.Lines(g.get("/metrics").body) {
		if strings.HasPrefix(line, "caddy_minimize_"+name) {
			series = append(series, strings.TrimSpace(strings.TrimPrefix(line, "caddy_minimize_"+name)))
		}
	}
	return series
}

// shows waits until the gateway says of each route whether it is protected.
func (g *gateway) shows(want ...string) {
	g.t.Helper()
	for range 2000 {
		if got := g.scraped("protected{"); fmt.Sprint(got) == fmt.Sprint(want) {
			return
		}
		runtime.Gosched()
	}
	g.t.Fatalf("it shows %v, want %v", g.scraped("protected{"), want)
}

// scrapedShop is the shop with its metrics, for callers whom nobody knows.
const scrapedShop = `handle /metrics {
	metrics
}
handle {
	minimize {
		caller {
			purpose after_sales
		}
	}
	reverse_proxy {upstream}
}`

// TestCanary: what the rules give to nobody does not come out, and what they give to anonymous is no leak. A canary is nobody:
// nothing counts it, and nothing tells of it.
func TestCanary(t *testing.T) {
	fastPolls(t)
	uncounted := []string{"messages_total", "values_total", "refusals_total", "body_bytes_total", "headers_dropped_total", "would_messages_total", "panics_total"}
	before := map[string]float64{}
	for _, name := range uncounted {
		before[name] = counter(t, "caddy_minimize_"+name)
	}
	b := newBackend(t, says(jsonHead, someOrder))
	g := start(t, b.addr, "", scrapedShop)
	g.shows(`route="server srv0"} 1`)
	for _, more := range []string{
		"  - {id: everybody, to: anonymous, for: after_sales, keep: [contact, device, location], mask: [card.number]}\n",
		"limit:\n  - {id: nobody, to: any, block: [contact]}\n", // what is refused does not come out
		"undeclared: strip\n",
	} {
		runs := counter(t, "caddy_minimize_canary_runs_total", "passed")
		g.write("rules/shop.yaml", shopRules+more)
		eventually(t, func() bool { return counter(t, "caddy_minimize_canary_runs_total", "passed") > runs })
		g.shows(`route="server srv0"} 1`)
	}
	for _, name := range uncounted {
		if counter(t, "caddy_minimize_"+name) != before[name] {
			t.Errorf("%s counts a canary", name)
		}
	}
	if g.read("audit.jsonl") != "" {
		t.Error("the audit log tells of a canary")
	}
	if strings.Contains(g.read("caddy.log"), neutral) {
		t.Error("the log holds what the canary made up")
	}
}

// weaker are the shop's rules with one more rule: what a writer might get wrong.
const weaker = shopRules + "  - {id: leak, to: anonymous, for: after_sales, keep: [health]}\n"

// breakRewriter has it judge by weaker rules than those in force.
func breakRewriter(t *testing.T, document string) {
	loaded, err := load(&files{rules: []rulefile.File{{Name: "shop.yaml", Data: []byte(document)}}})
	if err != nil {
		t.Fatal(err)
	}
	weak, err := loaded.compile(new(route))
	if err != nil {
		t.Fatal(err)
	}
	newRewriter = func(_ *rules.Judge, limits body.Limits, sink body.Sink) *body.JSON {
		d := rules.Disclosure{Purpose: "after_sales"}
		return body.NewJSON(weak.enforced.Scope("GET", "/").Judge(&d), limits, sink)
	}
	t.Cleanup(func() { newRewriter = body.NewJSON })
}

// TestCanaryFalls: a writer that lets one category through is seen, and told of in the rules' words alone.
func TestCanaryFalls(t *testing.T) {
	breakRewriter(t, weaker)
	failed := counter(t, "caddy_minimize_canary_runs_total", "failed")
	b := newBackend(t, says(jsonHead, someOrder))
	g := start(t, b.addr, "", scrapedShop)
	g.shows(`route="server srv0"} 0`)
	if counter(t, "caddy_minimize_canary_runs_total", "failed") == failed {
		t.Error("no failed run is counted")
	}
	log := g.read("caddy.log")
	if !strings.Contains(log, `"category":"health","selector":"diagnosis"`) || strings.Contains(log, neutral) {
		t.Errorf("the log does not say what came through, or says it: %s", log)
	}
}

// TestCanaryOfRoutes: each enforced route has a series while it is there; one in report mode has none.
func TestCanaryOfRoutes(t *testing.T) {
	const site = "handle /metrics {\nmetrics\n}\nhandle /a/* {\nminimize\nreverse_proxy {upstream}\n}\n" +
		"handle /b/* {\nminimize\nreverse_proxy {upstream}\n}\nhandle /c/* {\nminimize {\nmode report\n}\nreverse_proxy {upstream}\n}"
	b := newBackend(t, says(jsonHead, someOrder))
	g := start(t, b.addr, "", site)
	g.shows(`route="server srv0, /a/*"} 1`, `route="server srv0, /b/*"} 1`)
	if err := g.load(b.addr, "", strings.Replace(site, "/b/*", "/d/*", 1)); err != nil {
		t.Fatal(err)
	}
	g.shows(`route="server srv0, /a/*"} 1`, `route="server srv0, /d/*"} 1`)
	if n := canaries(); n != 1 {
		t.Errorf("%d canaries after a reload, want 1", n)
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if n := canaries(); n != 0 {
		t.Errorf("%d canaries of a gateway that stopped", n)
	}
}

// canaries are those whose goroutines run.
func canaries() int {
	stacks := make([]byte, 1<<22)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "canary).watch(")
}

// alone is a handler of the shop's that no Caddy runs.
func alone(t *testing.T, document string) *canaryRoute {
	h := newHandler(t, document)
	h.app.logger = zap.NewNop()
	return &canaryRoute{title: "alone", handler: h}
}

// TestCanarySees breaks what stands between a backend and a caller.
func TestCanarySees(t *testing.T) {
	for _, test := range []struct {
		name string
		with func(h *Handler)
		want int
	}{
		{"nothing", func(*Handler) {}, canaryPassed},
		{"the mode", func(h *Handler) { h.Mode = modeReport }, canaryFailed},
		{"the caller", func(h *Handler) { h.caller.role = &template{text: "finance", parts: []part{{literal: "finance"}}} }, canaryFailed},
		{"the headers", func(h *Handler) {
			h.ResponseHeaders = []string{"X-Phone"}
			h.headers.passing = map[string]depth{"X-Phone": depthPlain, "Location": depthPlain}
			h.headers.cache = []string{"private", "13940718265"}
		}, canaryFailed},
		{"everything", func(h *Handler) { h.headers.passing = nil; h.caller = nil }, canaryError},
		{"nothing, and other bodies hold all memory", func(h *Handler) { h.HoldAll, h.app.budget = true, body.NewBudget(1) }, canaryPassed},
		{"nothing, and max_body is short", func(h *Handler) { h.HoldAll, h.MaxBody = true, 400 }, canaryPassed},
	} {
		r := alone(t, weaker)
		r.handler.Caller = &Caller{Purpose: "after_sales"}
		r.handler.caller.why = &template{text: "after_sales", parts: []part{{literal: "after_sales"}}}
		test.with(r.handler)
		if got, _ := r.run(t.Context(), 2); got != test.want {
			t.Errorf("%s is broken: got %s, want %s", test.name, canaryResults[got], canaryResults[test.want])
		}
	}
}

// TestCanaryWithoutAnswer: what was known of a route stays while nobody answers for it, and nothing is shown that never was known.
func TestCanaryWithoutAnswer(t *testing.T) {
	r := alone(t, weaker)
	r.handler.app.metrics = collectors
	c := &canary{app: r.handler.app, routes: []*canaryRoute{r}}
	passing := r.handler.headers.passing
	for _, test := range []struct {
		answers bool
		want    map[string]bool
	}{{false, map[string]bool{}}, {true, map[string]bool{"alone": true}}, {false, map[string]bool{"alone": true}}} {
		broken := *r.handler
		broken.headers.passing, broken.caller = nil, nil
		asked := *r
		if !test.answers {
			asked.handler = &broken
		}
		r.handler.headers.passing = passing
		c.routes[0] = &asked
		if c.run(t.Context()); !maps.Equal(*c.shown.Load(), test.want) {
			t.Errorf("answers: %v, it shows %v, want %v", test.answers, *c.shown.Load(), test.want)
		}
	}
}

// TestCanaryEnds: a canary that is told to end does not leave its handler at work behind: the app gives back what it uses.
func TestCanaryEnds(t *testing.T) {
	asked, answer, ended := make(chan bool, 100), make(chan bool), make(chan bool)
	newRewriter = func(j *rules.Judge, limits body.Limits, sink body.Sink) *body.JSON {
		asked <- true
		<-answer
		return body.NewJSON(j, limits, sink)
	}
	t.Cleanup(func() { newRewriter = body.NewJSON })
	ctx, cancel := context.WithCancel(t.Context())
	r := alone(t, shopRules)
	go func() { r.run(ctx, 1); close(ended) }()
	<-asked
	cancel()
	select {
	case <-ended:
		t.Error("it ended while its handler was at work")
	case <-time.After(50 * time.Millisecond):
	}
	close(answer)
	<-ended
	if n := len(asked); n > 0 {
		t.Errorf("%d more were asked", n)
	}
}

// TestCanaryIsNoHeader: nothing that a client sends makes its request a canary's.
func TestCanaryIsNoHeader(t *testing.T) {
	b := newBackend(t, says(jsonHead, someOrder))
	g := start(t, b.addr, "", shop)
	before := counter(t, "caddy_minimize_messages_total")
	g.do(http.MethodGet, "/api/orders", "Canary", "1", "Minimize-Canary", "true", "Host", "canary.invalid")
	eventually(t, func() bool { return counter(t, "caddy_minimize_messages_total") == before+1 })
}

// TestCanaryOfPacks: every pack, for everybody whom it names, at home and abroad.
func TestCanaryOfPacks(t *testing.T) {
	names, err := filepath.Glob("../rules/packs/*.yaml")
	if err != nil || len(names) < 5 {
		t.Fatal("no packs", err)
	}
	for _, name := range names {
		if filepath.Base(name) == "base.yaml" {
			continue // it is part of all others
		}
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			loaded, err := load(&files{rules: []rulefile.File{{Name: name, Data: text}}, keys: map[string][]byte{"2026-01": []byte("0123456789abcdef0123456789abcdef")}})
			if err != nil {
				t.Fatal(err)
			}
			set, err := loaded.compile(new(route))
			if err != nil {
				t.Fatal(err)
			}
			purposes := append([]string{""}, set.enforced.Purposes()...)
			roles := append(make([]string, len(purposes)), rolesOf(loaded)...)
			for turn := 0; turn < len(roles); turn += 1 + len(roles)/10 {
				role := roles[turn]
				c := &Caller{Role: role, Purpose: purposes[turn%len(purposes)], Country: []string{"CN", "DE"}[turn/2%2]}
				if role != "" {
					c.ID = "somebody"
				}
				passesCanary(t, loaded, c, turn)
			}
		})
	}
}

func passesCanary(t *testing.T, loaded *loaded, c *Caller, turn int) {
	t.Helper()
	app := &App{metrics: collectors, audit: new(audit), loaded: loaded, logger: zap.NewNop(), consents: new(consents)}
	app.current.Store(new(snapshot))
	h := &Handler{Mode: modeEnforce, app: app, logger: zap.NewNop(), metrics: collectors, route: &route{country: true}, Caller: c}
	var err error
	if h.caller, err = c.provision(app, zap.NewNop()); err != nil {
		t.Fatal(err)
	}
	if err := app.add(h.route); err != nil {
		t.Fatal(err)
	}
	if h.headers, err = newHeaderRules(h); err != nil {
		t.Fatal(err)
	}
	var told bytes.Buffer
	app.logger = zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&told), zap.InfoLevel))
	r := &canaryRoute{handler: h, turn: turn}
	if got, _ := r.run(t.Context(), 4); got != canaryPassed {
		t.Errorf("%q for %q in %s, turn %d: %s\n%s", c.Role, c.Purpose, c.Country, turn, canaryResults[got], told.String())
	}
}

func rolesOf(l *loaded) (names []string) {
	for _, w := range l.documents[0].Roles {
		names = append(names, w.Name)
	}
	return names
}

// TestCanaryAsksNobody: what is collected from a canary is nobody's, too: the store is not asked about the route's constant
// caller, and no number of its day is used up.
func TestCanaryAsksNobody(t *testing.T) {
	r := newRecorder(t)
	g := prepare(t)
	g.write("rules/shop.yaml", fmt.Sprintf(collecting, "  - {id: agreed, to: us, for: search, consent: explicit, keep: [device.imei]}\n"+
		"limit:\n  - {id: many, to: us, over: 1/day, block: [device.imei]}"))
	const site = "minimize {\ninbound\ncaller {\npurpose search\nid robot\n}\n}\nreverse_proxy {upstream}"
	runs := counter(t, "caddy_minimize_canary_runs_total", "passed")
	if err := g.load(r.addr, "consent sqlite consent.db", site); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return counter(t, "caddy_minimize_canary_runs_total", "passed") > runs })
	shared := running.Load().consents
	if s := shared.Stats(); s.Hits+s.Misses+s.Queries != 0 {
		t.Errorf("the store is asked: %+v", s)
	}
	eventually(t, shared.Fresh)
	if nth, err := shared.Store().Seen(t.Context(), "robot", []string{"u1"}, 5); err != nil || !slices.Equal(nth, []int{1}) {
		t.Errorf("the first of the day is number %d: %v", nth, err)
	}
	g.send("POST", "/?imei=7", "", jsonType)
	if s := shared.Stats(); s.Hits+s.Misses == 0 {
		t.Errorf("a client's request does not ask either: %+v", s)
	}
}
