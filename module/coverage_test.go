package minimize

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// TestCoverage: routes that reach a backend without us are named, in the running configuration and in the adapted one alike.
func TestCoverage(t *testing.T) {
	for _, test := range []struct {
		name, site string
		want       []string // handlers, "?" behind those that are covered for some requests
	}{
		{"covered", "minimize\nreverse_proxy x:1", nil},
		{"uncovered", "reverse_proxy x:1", []string{"reverse_proxy"}},
		{"some paths", "minimize /api/*\nreverse_proxy x:1", []string{"reverse_proxy?"}},
		{"the same paths", "minimize /api/*\nreverse_proxy /api/* x:1", nil},
		{"other paths", "minimize /api/*\nreverse_proxy /app/* x:1", []string{"reverse_proxy?"}},
		{"a matcher that nobody can compare", "@a not path /x\n@b not path /y\nminimize @a\nreverse_proxy @b x:1", []string{"reverse_proxy?"}},
		{"files", "handle /static/* {\nfile_server\n}\nhandle {\nminimize\nreverse_proxy x:1\n}", []string{"file_server"}},
		{"siblings", "handle /a/* {\nminimize\nreverse_proxy x:1\n}\nhandle /b/* {\nreverse_proxy x:1\n}", []string{"reverse_proxy"}},
		{"error routes", "minimize\nreverse_proxy x:1\nhandle_errors {\nreverse_proxy y:1\n}", []string{"reverse_proxy"}},
		{"covered error routes", "minimize\nreverse_proxy x:1\nhandle_errors {\nminimize\nreverse_proxy y:1\n}", nil},
		{"handle_response", "minimize\nreverse_proxy x:1 {\nhandle_response {\nreverse_proxy y:1\n}\n}", nil},
		{"intercept", "intercept {\nhandle_response {\nfile_server\n}\n}\nminimize\nreverse_proxy x:1", nil},
		{"php", "php_fastcgi x:1", []string{"reverse_proxy"}},
		{"forward_auth", "forward_auth x:1 {\nuri /auth\n}\nminimize\nreverse_proxy x:1", nil},
		{"route", "route {\nreverse_proxy /a x:1\nminimize\nreverse_proxy y:1\n}", []string{"reverse_proxy"}},
		{"the path changes", "route {\nminimize /api/*\nuri strip_prefix /v1\nreverse_proxy /api/* x:1\n}", []string{"reverse_proxy?"}},
		{"the method changes", "@p method POST\nroute {\nminimize @p\nmethod POST\nreverse_proxy @p x:1\n}", []string{"reverse_proxy?"}},
		{"the host changes", "@h host a\nroute {\nminimize @h\nrequest_header host a\nreverse_proxy @h x:1\n}", []string{"reverse_proxy?"}},
		{"the host changes, and nobody asks", "route {\nminimize /api/*\nrequest_header host a\nreverse_proxy /api/* x:1\n}", nil},
		{"another header changes", "@h host a\nroute {\nminimize @h\nrequest_header x-host a\nreverse_proxy @h x:1\n}", nil},
		{"the path changes inside", "route {\nminimize /api/*\nhandle_path /v1/* {\nheader X y\n}\nreverse_proxy /api/* x:1\n}", []string{"reverse_proxy?"}},
		{"the path changes around", "minimize /api/*\nhandle_path /v1/* {\nreverse_proxy /api/* x:1\n}", []string{"reverse_proxy?"}},
		{"the path changes before", "handle_path /v1/* {\nminimize /api/*\nreverse_proxy /api/* x:1\n}", nil},
		{"the path changes for what answers", "minimize /api/*\nhandle_path /v1/* {\nrespond x\n}\nreverse_proxy /api/* x:1", nil},
		{"the path changes for what answers some", "minimize /api/*\nhandle_path /v1/* {\nrespond /x x\n}\nreverse_proxy /api/* x:1", []string{"reverse_proxy?"}},
		{"the path changes for files", "minimize /api/*\nhandle_path /v1/* {\nminimize\nfile_server\n}\nreverse_proxy /api/* x:1", nil},
		{"the path changes for siblings", "minimize /api/*\nhandle_path /v1/* {\nrespond x\n}\nhandle /api/* {\nreverse_proxy x:1\n}", nil},
		{"the path of what is judged changes", "route {\nminimize /api/*\nrewrite /api/* /api/b\nreverse_proxy /api/* x:1\n}", nil},
		{"nothing to cover", "respond hello", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := prepare(t)
			adapted, err := g.adapt("", "", test.site)
			if err != nil {
				t.Fatal(err)
			}
			found, err := Bypasses(adapted)
			if err != nil {
				t.Fatal(err)
			}
			if got := handlersOf(found); got != fmt.Sprint(test.want) {
				t.Errorf("of the adapted configuration: got %s, want %v", got, test.want)
			}
			if err := g.load("", "", test.site); err != nil {
				t.Fatal(err)
			}
			sites, err := running.Load().provisionedSites()
			if err != nil {
				t.Fatal(err)
			}
			if got, want := fmt.Sprint(bypasses(sites)), fmt.Sprint(found); got != want {
				t.Errorf("of the running configuration: got %s, want %s", got, want)
			}
			if got := counter(t, "caddy_minimize_routes", "uncovered"); got != float64(len(found)) {
				t.Errorf("the metric counts %v, want %d", got, len(found))
			}
			if log := g.read("caddy.log"); strings.Count(log, "a route bypasses minimize") != len(found) {
				t.Errorf("the log does not name them: %s", log)
			}
		})
	}
}

func handlersOf(found []Bypass) string {
	var names []string
	for _, b := range found {
		name := b.Handler
		if b.Partly {
			name += "?"
		}
		names = append(names, name)
	}
	return fmt.Sprint(names)
}

// TestNamedRoutes: a route that is invoked is looked at where it is invoked, and one that invokes itself ends.
func TestNamedRoutes(t *testing.T) {
	config := `{"apps":{"http":{"servers":{"s":{
		"named_routes":{"a":{"handle":[{"handler":"reverse_proxy"},{"handler":"invoke","name":"a"}]}},
		"routes":[{"match":[{"host":["h"],"path":["/p"]}],"handle":[{"handler":"invoke","name":"a"}]}]}}}}}`
	found, err := Bypasses([]byte(config))
	if err != nil || len(found) == 0 {
		t.Fatal(found, err)
	}
	if got := found[0].String(); got != "server s, h /p reaches reverse_proxy without minimize" {
		t.Errorf("got %q", got)
	}
	if _, err := Bypasses([]byte("broken")); err == nil {
		t.Error("a broken configuration has no bypass")
	}
}

// TestUnknownHandlers: a handler of which nobody knows that it carries no data counts as a backend.
func TestUnknownHandlers(t *testing.T) {
	for handlers, want := range map[string]string{
		`{"handler":"my_shop"}`:                        "[my_shop]",
		`{"handler":"minimize"},{"handler":"my_shop"}`: "[]",
		`{"handler":"templates"}`:                      "[templates]",
		`{"handler":"vars"},{"handler":"rewrite"},{"handler":"encode"},{"handler":"static_response"},{"handler":"map"}`: "[]",
	} {
		found, err := Bypasses([]byte(`{"apps":{"http":{"servers":{"s":{"routes":[{"handle":[` + handlers + `]}]}}}}}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := handlersOf(found); got != want {
			t.Errorf("%s: got %s, want %s", handlers, got, want)
		}
	}
}

// TestStrict: then a bypass does not start.
func TestStrict(t *testing.T) {
	g := prepare(t)
	if err := g.load("x:1", "strict", "minimize /api/*\nreverse_proxy {upstream}"); err == nil || !strings.Contains(err.Error(), "reaches reverse_proxy") {
		t.Errorf("got %v", err)
	}
	if err := g.load("x:1", "strict", "minimize\nreverse_proxy {upstream}"); err != nil {
		t.Error(err)
	}
}

// TestStrictWithoutRoutes: a configuration without sites has no bypass; of one whose sites cannot be read nobody knows.
func TestStrictWithoutRoutes(t *testing.T) {
	for _, test := range []struct {
		name   string
		apps   caddy.ModuleMap
		starts bool
	}{
		{"no sites", nil, true},
		{"broken sites", caddy.ModuleMap{"http": json.RawMessage(`{"servers":{"s":{"routes":[{"handle":[{"handler":"unknown"}]}]}}}`)}, false},
	} {
		ctx, err := caddy.ProvisionContext(&caddy.Config{AppsRaw: test.apps})
		if (err == nil) != test.starts {
			t.Fatal(err)
		}
		if err := (&App{Strict: true, ctx: ctx}).checkCoverage(); (err == nil) != test.starts {
			t.Errorf("%s: got %v", test.name, err)
		}
	}
}
