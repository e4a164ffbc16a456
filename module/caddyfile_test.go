package minimize

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

var update = flag.Bool("update", false, "write the JSON of the golden adapt tests anew")

// TestAdapt adapts the Caddyfiles of testdata: a Caddyfile, a line of dashes, and the JSON or a part of the error. {dir}
// stands for the directory of the tests.
func TestAdapt(t *testing.T) {
	names, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(names) == 0 {
		t.Fatal("no golden files", err)
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(string(data), "\n----------\n")
			want = strings.TrimSpace(want)
			adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(input+"\n"), map[string]any{"filename": "Caddyfile"})
			if strings.HasPrefix(filepath.Base(name), "error_") {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got the error %v, want %s", err, want)
				}
				return
			}
			if err != nil || len(warnings) > 0 {
				t.Fatal(err, warnings)
			}
			if formatted := caddyfile.Format([]byte(input)); string(bytes.TrimSpace(formatted)) != strings.TrimSpace(input) {
				t.Error("the Caddyfile is not as `caddy fmt` writes it")
			}
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, adapted, "", "\t"); err != nil {
				t.Fatal(err)
			}
			got := strings.ReplaceAll(pretty.String(), dir, "{dir}")
			if *update {
				if err := os.WriteFile(name, []byte(input+"\n----------\n"+got+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestConfigurationErrors: what cannot be meant does not load, and the error says what to do.
func TestConfigurationErrors(t *testing.T) {
	for _, test := range []struct{ name, global, site, want string }{
		{"no rules", "minimize {\nkeys keys\n}", shop, "no rules: name the rule documents"},
		{"no global option", "# no minimize {", shop, "no rules: name the rule documents"},
		{"no such file", "minimize {\nrules rules/none.yaml\n}", shop, "no rule document is named"},
		{"no such document", "", "minimize {\ndocuments desk\n}", `no rule document is named "desk"`},
		{"no key directory", "minimize {\nrules rules/*.yaml\nkeys nowhere\n}", shop, "reading the keys"},
		{"unknown mode", "", "minimize {\nmode off\n}", `unknown mode "off" (want enforce or report)`},
		{"hold all alone", "", "minimize {\nhold all\n}", "`hold all` needs `max_body`"},
		{"max_body alone", "", "minimize {\nmax_body 1MiB\n}", "`max_body` goes with `hold all`"},
		{"unknown issues", "", "minimize {\nissues auth.secret\n}", "unknown `issues auth.secret`"},
		{"opaque JSON", "", "minimize {\nopaque application/hal+json \"no reason is good enough\"\n}", "JSON is judged and cannot pass unread"},
		{"opaque everything", "", "minimize {\nopaque */* \"no reason is good enough\"\n}", "want a media type like text/html"},
		{"opaque without sense", "", "minimize {\nopaque html \"no reason is good enough\"\n}", "want a media type like text/html"},
		{"forbidden header", "", "minimize {\nresponse_headers ETag\n}", "Etag tells about the unjudged answer"},
		{"unknown role", "", asks("role boss\npurpose after_sales"), `the role "boss" of the route is in no rule document`},
		{"unknown purpose", "", asks("role support\npurpose spying"), `the purpose "spying" of the route is in no rule document`},
		{"unknown choice", "", asks("purpose {header.Purpose} of after_sales spying"), `the purpose "spying"`},
		{"no purpose", "", asks("role support"), "a purpose is missing"},
		{"constant with choice", "", asks("purpose after_sales of after_sales"), "a constant purpose leaves nothing to choose"},
		{"free purpose", "", asks("purpose {header.Purpose}"), "{http.request.header.Purpose} can be written by every client"},
		{"no country", "", asks("country Germany\npurpose after_sales"), "is no code of ISO 3166-1; write two capitals, such as CN or GB"},
		{"no assigned country", "", asks("country UK\npurpose after_sales"), "country \"UK\" is no code of ISO 3166-1; write two capitals, such as CN or GB"},
		{"claim without token", "", asks("id {claim.sub}\npurpose after_sales"), "{claim.sub} needs a token"},
		{"header", "", asks("role {header.X-Role}\npurpose after_sales"), "can be written by every client"},
		{"header within a text", "", asks("id user-{header.X-Id}\npurpose after_sales"), "can be written by every client"},
		{"query", "", asks("role {query.role}\npurpose after_sales"), "is nothing that authentication establishes"},
		{"cookie", "", asks("id {cookie.id}\npurpose after_sales"), "is nothing that authentication establishes"},
		{"host", "", asks("organisation {host}\npurpose after_sales"), "is nothing that authentication establishes"},
		{"path", "", asks("guardian {path.1}\npurpose after_sales"), "is nothing that authentication establishes"},
		{"vars", "", asks("country {vars.country}\npurpose after_sales"), "is nothing that authentication establishes"},
		{"candidate", "", asks("id {http.auth.candidate.id}\npurpose after_sales"), "is a user who failed to authenticate"},
		{"header claim", "", asks("claim mfa {header.X-Mfa}\npurpose after_sales"), "can be written by every client"},
		{"subject from a matcher", "", "@u header_regexp u X-User (.+)\nminimize @u {\nsubject {re.u.1}\n}", "can be filled from a header by a matcher: take a step of the path"},
		{"subject from a variable", "", "vars u {header.X-User}\nminimize {\nsubject {vars.u}\n}", "is nothing that authentication establishes"},
		{"subject from a map", "", "map {header.X-User} {u} {\ndefault x\n}\nminimize {\nsubject {u}\n}", "is nothing that authentication establishes"},
		{"subject from a header", "", "minimize {\nsubject {header.X-Subject}\n}", "can be written by every client"},
		{"open brace", "", asks("id \"{http.auth.user.id\"\npurpose after_sales"), "lacks its closing brace"},
		{"trust without header", "", asks("trust 10.0.0.0/8\npurpose after_sales"), "no field of the caller is a request header"},
		{"trust nonsense", "", asks("trust proxy\nid {header.X-Id}\npurpose after_sales"), "is no address and no network"},
		{"trust too wide", "", asks("trust private_ranges\nid {header.X-Id}\npurpose after_sales"), "private_ranges is too wide"},
		{"no audience", "", asks("jwt issuer https://id.example.com\npurpose after_sales"), "issuer and audience are needed"},
		{"two key sources", "", asks("jwt issuer x audience y key k jwks https://x\npurpose after_sales"), "jwks and key exclude each other"},
		{"symmetric algorithm", "", asks("jwt issuer https://x audience y algorithms HS256\npurpose after_sales"), `the algorithm "HS256" does not count`},
		{"no algorithm", "", asks("jwt issuer https://x audience y algorithms none\npurpose after_sales"), `the algorithm "none" does not count`},
		{"issuer without URL", "", asks("jwt issuer shop audience y\npurpose after_sales"), "is no URL to fetch keys from"},
		{"no key file", "", asks("jwt issuer x audience y key nowhere.pem\npurpose after_sales"), "reading the key file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := prepare(t)
			err := g.load("127.0.0.1:1", test.global, test.site)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got the error %v, want %s", err, test.want)
			}
		})
	}
}

// asks is a site with these caller options.
func asks(options string) string {
	return "minimize {\ncaller {\n" + options + "\n}\n}\nreverse_proxy {upstream}"
}

// TestRuleErrors: `caddy validate` finds what is wrong in all rule files, with file, line and column, in one go.
func TestRuleErrors(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"two broken files", map[string]string{
			"rules/a.yaml": "minimize: 1\nfields:\n  - {at: phone, is: contact.phone}\n",
			"rules/b.yaml": "minimize: 1\nalow: []\n",
		}, []string{"rules/a.yaml:3:", "rules/b.yaml:2:1"}},
		{"unknown names", map[string]string{
			"rules/shop.yaml": "minimize: 1\nroles: [support]\npurposes: [x]\nallow:\n  - {id: a, to: suport, for: x, keep: [contact.fone]}\n",
		}, []string{"rules/shop.yaml:5:", "suport", "contact.fone"}},
		{"same name", map[string]string{"rules/shop.yml": shopRules}, []string{`a second document is named "shop"`}},
		{"no rule", map[string]string{"rules/shop.yaml": "minimize: 1\n"}, []string{"the rule documents hold no rule"}},
		{"candidates only", map[string]string{"rules/shop.yaml": shopRules + "candidate: true\n"}, []string{"the rule documents hold no rule"}},
		{"short key", map[string]string{"keys/2026-02": "short"}, []string{"is shorter than 16 bytes"}},
		{"no country for a home", map[string]string{"rules/shop.yaml": shopRules + "home: CN\n"}, []string{"the rules have a home (CN)", "country"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := prepare(t)
			for name, content := range test.files {
				g.write(name, content)
			}
			err := g.load("127.0.0.1:1", "minimize {\nrules rules/*.y*ml\nkeys keys\n}", shop)
			if err == nil {
				t.Fatal("the rules load")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got the error %v, want %s", err, want)
				}
			}
		})
	}
}
