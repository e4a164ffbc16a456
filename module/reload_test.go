package minimize

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-minimize/minimize/module/rulefile"
)

func fastPolls(t *testing.T) {
	pollEvery = 5 * time.Millisecond
	t.Cleanup(func() { pollEvery = time.Second })
}

// TestRulesReload: a change comes into force by itself; a broken one does not, is logged with its place and shown in a
// metric, until it is mended (threat H7).
func TestRulesReload(t *testing.T) {
	fastPolls(t)
	b := newBackend(t, says(jsonHead, someOrder))
	g := start(t, b.addr, "", shop)
	sees := func(want string) func() bool { return func() bool { return g.get("/api/orders").body == want } }
	eventually(t, sees(supportSees))
	strict := strings.Replace(shopRules, "mask: [contact.phone]", "strip: [contact.phone]", 1)
	g.write("rules/shop.yaml", strict)
	eventually(t, sees(anonymousSees))

	failures := counter(t, "caddy_minimize_rules_reload_failures_total")
	for _, broken := range []string{
		strings.Replace(shopRules, "contact.phone]", "contact.fone]", 1), "minimize: 1\n", "", strings.Replace(shopRules, "roles: [support, finance]", "roles: [finance]", 1),
		shopRules + "home: CN\n",
	} {
		g.write("rules/shop.yaml", broken)
		failures++
		eventually(t, func() bool { return counter(t, "caddy_minimize_rules_reload_failures_total") == failures })
		if !sees(anonymousSees)() || counter(t, "caddy_minimize_rules_broken") != 1 {
			t.Fatal("the last good rules are not kept, or the metric does not show it")
		}
	}
	if log := g.read("caddy.log"); !strings.Contains(log, "shop.yaml:") || !strings.Contains(log, "the last good ones stay in force") {
		t.Error("the log does not say where the error is")
	}
	// Back to what is in force is mended, too.
	g.write("rules/shop.yaml", strict)
	eventually(t, func() bool { return counter(t, "caddy_minimize_rules_broken") == 0 })
	g.write("rules/shop.yaml", shopRules)
	eventually(t, sees(supportSees))
	if err := os.Remove(filepath.Join(g.dir, "rules/shop.yaml")); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return counter(t, "caddy_minimize_rules_broken") == 1 })
	if !sees(supportSees)() {
		t.Error("without its file the last good rules are gone")
	}
}

// TestOverlayReload: what an overlay extends is watched like the overlay itself.
func TestOverlayReload(t *testing.T) {
	fastPolls(t)
	const body = `{"code":"a-77"}`
	b := newBackend(t, says(jsonHead, body))
	g := start(t, b.addr, "", shop)
	sees := func(want string) func() bool { return func() bool { return g.get("/api/orders").body == want } }
	eventually(t, sees(body))
	spec := func(member string) string {
		return "openapi: 3.1.0\npaths: {/api/orders: {get: {responses: {default: {content: {application/json: {schema: {properties: {" + member + ": {title: code}}}}}}}}}}\n"
	}
	if err := os.Mkdir(filepath.Join(g.dir, "rules/vendor"), 0o700); err != nil {
		t.Fatal(err)
	}
	g.write("rules/vendor/api.yaml", spec("other_code"))
	g.write("rules/api.yaml", "overlay: 1.0.0\nextends: vendor/api.yaml\nactions:\n"+
		"  - {target: '$..properties[?@.title==\"code\"]', update: {x-data-classification: {category: health}}}\n")
	eventually(t, func() bool { return strings.Contains(g.read("caddy.log"), `"documents":2`) })
	if !sees(body)() {
		t.Error("a member that the document does not have is stripped")
	}
	g.write("rules/vendor/api.yaml", spec("code"))
	eventually(t, sees("{}"))
}

// TestSymlinkSwap: a mounted volume changes by swapping a symbolic link.
func TestSymlinkSwap(t *testing.T) {
	fastPolls(t)
	g := prepare(t)
	g.write("v1/shop.yaml", shopRules)
	g.write("v2/shop.yaml", strings.Replace(shopRules, "mask: [contact.phone]", "strip: [contact.phone]", 1))
	link := filepath.Join(g.dir, "mounted")
	if err := os.Symlink("v1", link); err != nil {
		t.Fatal(err)
	}
	b := newBackend(t, says(jsonHead, someOrder))
	if err := g.load(b.addr, "minimize {\nrules mounted/*.yaml\n}", shop); err != nil {
		t.Fatal(err)
	}
	if got := g.get("/api/orders").body; got != supportSees {
		t.Fatal(got)
	}
	if err := os.Symlink("v2", link+"~"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+"~", link); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return g.get("/api/orders").body == anonymousSees })
}

// TestKeysReload: a new key is in force without a restart, and a broken one is not.
func TestKeysReload(t *testing.T) {
	fastPolls(t)
	g := prepare(t)
	g.write("rules/shop.yaml", strings.Replace(shopRules, "mask: [contact.phone]", "pseudonymize: [contact.phone]", 1))
	b := newBackend(t, says(jsonHead, someOrder))
	if err := g.load(b.addr, "", shop); err != nil {
		t.Fatal(err)
	}
	under := func(id string) func() bool {
		return func() bool { return strings.Contains(g.get("/api/orders").body, `"hm1_`+id+`_`) }
	}
	eventually(t, under("2026-01"))
	g.write("keys/2026-02", "short")
	eventually(t, func() bool { return counter(t, "caddy_minimize_rules_broken") == 1 })
	if !under("2026-01")() {
		t.Error("a broken key took the good one away")
	}
	g.write("keys/2026-02", strings.Repeat("k", 32))
	eventually(t, under("2026-02"))
}

// TestThousandReloads: 1,000 changes of the rules under load, half of them broken: no request fails, and no answer is under
// rules that were never in force together (threats H7, H8).
func TestThousandReloads(t *testing.T) {
	reloads := 1000
	if testing.Short() {
		reloads = 100
	}
	b := newBackend(t, says(jsonHead, `{"orders":[{"buyer":"u1","phone":"13800138000","imei":"490154203237518"}]}`))
	g := start(t, b.addr, "", shop)
	// Phone and IMEI are shown together or not at all.
	shown := strings.Replace(shopRules, "mask: [contact.phone]", "keep: [contact.phone, device.imei]", 1)
	hidden := strings.Replace(shopRules, "mask: [contact.phone]", "strip: [contact.phone, device.imei]", 1)
	versions := []string{shown, hidden[:len(hidden)/2] + "]", hidden, shown + "broken: ["}
	app := running.Load()
	answers := map[string]bool{
		`{"orders":[{"buyer":"u1","phone":"13800138000","imei":"490154203237518"}]}`: true, `{"orders":[{"buyer":"u1"}]}`: true,
		`{"orders":[{"buyer":"u1","phone":"138****8000"}]}`: true, // before the first change
	}
	var stop atomic.Bool
	var asked atomic.Int64
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for !stop.Load() {
				a := g.get("/api/orders")
				asked.Add(1)
				if a.err != nil || a.status != 200 || !answers[a.body] {
					t.Errorf("got %+v", a)
					return
				}
			}
		})
	}
	failures := counter(t, "caddy_minimize_rules_reload_failures_total")
	for i := range reloads {
		g.write("rules/shop.yaml", versions[i%len(versions)])
		app.refresh() // sees the change
		app.refresh() // finds it settled, and takes it
	}
	stop.Store(true)
	workers.Wait()
	if got := counter(t, "caddy_minimize_rules_reload_failures_total") - failures; got != float64(reloads/2) {
		t.Errorf("%v changes were refused, want %d", got, reloads/2)
	}
	if got := app.loads.Load(); got != int64(reloads/2) {
		t.Errorf("%d changes were taken, want %d", got, reloads/2)
	}
	t.Logf("%d requests during %d reloads", asked.Load(), reloads)
}

// TestDocumentsOfARoute: two platforms on one gateway share nothing, not even the names of their rules.
func TestDocumentsOfARoute(t *testing.T) {
	g := prepare(t)
	g.write("rules/desk.yaml", strings.Replace(shopRules, "mask: [contact.phone]", "keep: [contact.phone]", 1))
	b := newBackend(t, says(jsonHead, someOrder))
	site := "minimize {\ndocuments %\ncaller {\nrole support\npurpose after_sales\n}\n}\nreverse_proxy {upstream}"
	for document, want := range map[string]string{"shop": supportSees, "desk": strings.Replace(supportSees, "138****8000", somePhone, 1)} {
		if err := g.load(b.addr, "", strings.Replace(site, "%", document, 1)); err != nil {
			t.Fatal(err)
		}
		if got := g.get("/api/orders").body; got != want {
			t.Errorf("%s: got %s, want %s", document, got, want)
		}
	}
	if err := g.load(b.addr, "", strings.Replace(site, "%", "shop desk", 1)); err == nil || !strings.Contains(err.Error(), "support-sees-masked") {
		t.Errorf("two documents with the same rule ids: got %v", err)
	}
}

// TestRejectedConfiguration: one that does not start changes nothing of what is shown about the one that runs.
func TestRejectedConfiguration(t *testing.T) {
	b := newBackend(t, says(jsonHead, someOrder))
	site := "handle /open/* {\nreverse_proxy {upstream}\n}\nhandle {\n" + shop + "\n}"
	g := start(t, b.addr, "", site)
	app := running.Load()
	worse := strings.Replace(site, "caller {", "mode report\ncaller {", 1) + "\nhandle /more/* {\nreverse_proxy {upstream}\n}"
	g.write("rules/shop.yaml", shopRules+"# changed\n")
	taken := g.url[strings.LastIndex(g.url, ":")+1:]
	for _, rejected := range []struct{ global, site string }{
		{"strict", worse},
		// Whether the HTTP app or ours starts first is left to chance.
		{"", worse + "\n}\nhttp://x:" + taken + " {\nbind 192.0.2.1\n"}, {"", worse + "\n}\nhttp://x:" + taken + " {\nbind 192.0.2.1\n"},
		{"", worse + "\n}\nhttp://x:" + taken + " {\nbind 192.0.2.1\n"}, {"", worse + "\n}\nhttp://x:" + taken + " {\nbind 192.0.2.1\n"},
	} {
		if err := g.load(b.addr, rejected.global, rejected.site); err == nil {
			t.Fatal("the configuration starts")
		}
		if running.Load() != app {
			t.Error("a configuration that was rejected counts as running")
		}
		if n := counter(t, "caddy_minimize_routes", "uncovered"); n != 1 {
			t.Errorf("%v routes are uncovered, want 1", n)
		}
		if n := counter(t, "caddy_minimize_routes", "report"); n != 0 {
			t.Errorf("%v routes are in report mode, want none", n)
		}
		if n := counter(t, "caddy_minimize_rules_info", app.rules(app.routes[0]).enforced.Hash()); n != 1 {
			t.Error("the rules in force are not shown")
		}
	}
}

// TestSameDocuments: routes with the same documents, in whatever order they are named, share rules that are compiled once.
func TestSameDocuments(t *testing.T) {
	loaded, err := load(&files{rules: []rulefile.File{{Name: "a.yaml", Data: []byte(shopRules)}, {Name: "b.yaml", Data: []byte("minimize: 1\n")}}})
	if err != nil {
		t.Fatal(err)
	}
	app := &App{loaded: loaded}
	app.current.Store(new(snapshot))
	var first *ruleset
	for _, documents := range [][]string{{"a", "b"}, {"a", "b"}, {"b", "a"}, {"b", "a", "b"}} {
		u := &route{documents: documents}
		if err := app.add(u); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = app.rules(u)
		}
		if app.rules(u) != first {
			t.Errorf("the rules of %v are compiled again", documents)
		}
	}
	if app.add(&route{documents: []string{"a", "b"}, roles: []string{"boss"}}) == nil {
		t.Error("a route's own configuration is not checked")
	}
}
