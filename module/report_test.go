package minimize

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

var reportSite = strings.Replace(shop, "caller {", "mode report\ncaller {", 1)

// TestReportChangesNothing: whatever the upstream says leaves as it came, and is counted as enforcing would have ended.
func TestReportChangesNothing(t *testing.T) {
	for _, test := range []struct {
		name, head, body, outcome, reason string
	}{
		{"JSON", jsonHead + "\nETag: \"x\"\nX-Device: 1\nSet-Cookie: uid=" + someIMEI, someOrder, outcomeMinimized, ""},
		{"clean JSON", jsonHead, `{"a":1}`, outcomePassed, ""},
		{"broken JSON", jsonHead, `{"imei":`, outcomeRefused, "unreadable"},
		{"text", "200 OK\nContent-Type: text/plain", someIMEI, outcomeRefused, "media_type"},
		{"no type", "200 OK", someIMEI, outcomeRefused, "media_type"},
		{"range", "206 Partial Content\nContent-Type: application/json\nContent-Range: bytes 0-1/9", `{}`, outcomeUnjudged, ""},
		{"gzip", jsonHead + "\nContent-Encoding: gzip", compressed(t, "gzip", someOrder), outcomeMinimized, ""},
		{"gzip that is none", jsonHead + "\nContent-Encoding: gzip", someOrder, outcomeRefused, "unreadable"},
		{"empty", "200 OK", "", outcomeEmpty, ""},
		{"not modified", "304 Not Modified\nETag: \"x\"", "", outcomeEmpty, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBackend(t, says(test.head, test.body))
			g := start(t, b.addr, "", strings.Replace(reportSite, "reverse_proxy {upstream}", "reverse_proxy {upstream} {\ntransport http {\ncompression off\n}\n}", 1))
			outcome := counter(t, "caddy_minimize_would_messages_total", "report", test.outcome, "support")
			reason := counter(t, "caddy_minimize_would_refusals_total", "report", test.reason)
			real := counter(t, "caddy_minimize_messages_total")
			a := g.get("/api/orders", "Accept-Encoding: br", "Range: bytes=0-1", "If-None-Match: \"x\"")
			if a.err != nil || a.body != test.body {
				t.Errorf("got %+v", a)
			}
			for _, line := range strings.Split(test.head, "\n")[1:] {
				name, value, _ := strings.Cut(line, ": ")
				if got := a.header.Get(name); got != value {
					t.Errorf("%s is %q, want %q", name, got, value)
				}
			}
			if seen := b.last().Header; seen.Get("Accept-Encoding") == "br" || seen.Get("Range") == "" || seen.Get("If-None-Match") == "" {
				t.Errorf("the upstream saw %v", seen)
			}
			eventually(t, func() bool {
				return counter(t, "caddy_minimize_would_messages_total", "report", test.outcome, "support") >= outcome+1
			})
			if test.reason != "" && counter(t, "caddy_minimize_would_refusals_total", "report", test.reason) < reason+1 {
				t.Error("the refusal is not counted")
			}
			if counter(t, "caddy_minimize_messages_total") != real {
				t.Error("a report is counted as enforced")
			}
		})
	}
}

// TestReportPassesUpgrades: report mode breaks no WebSocket.
func TestReportPassesUpgrades(t *testing.T) {
	b := newBackend(t, func(conn net.Conn, r *http.Request) {
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
		io.CopyN(conn, conn, 5)
	})
	g := start(t, b.addr, "", "log\n"+reportSite)
	before := counter(t, "caddy_minimize_would_refusals_total", "report", "media_type")
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	io.WriteString(conn, "GET /api/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != 101 {
		t.Fatalf("got %v, %v", res, err)
	}
	io.WriteString(conn, "hello")
	echo := make([]byte, 5)
	if _, err := io.ReadFull(r, echo); err != nil || string(echo) != "hello" {
		t.Errorf("got %q, %v", echo, err)
	}
	conn.Close()
	eventually(t, func() bool {
		return counter(t, "caddy_minimize_would_refusals_total", "report", "media_type") >= before+1
	})
}

// TestReportWithBadToken: it would be 401, and passes.
func TestReportWithBadToken(t *testing.T) {
	i := newIssuer(t)
	g := prepare(t)
	g.write("issuer.pem", i.pem())
	b := newBackend(t, says(jsonHead, someOrder))
	if err := g.load(b.addr, "", strings.Replace(i.site("key issuer.pem"), "caller {", "mode report\ncaller {", 1)); err != nil {
		t.Fatal(err)
	}
	before := counter(t, "caddy_minimize_would_messages_total", "report", outcomeUnauthorized, "anonymous")
	if a := g.get("/api/orders", "Authorization: Bearer x.y.z"); a.status != 200 || a.body != someOrder {
		t.Errorf("got %+v", a)
	}
	eventually(t, func() bool {
		return counter(t, "caddy_minimize_would_messages_total", "report", outcomeUnauthorized, "anonymous") >= before+1
	})
}

// TestCandidateRules: a candidate document is judged beside the enforced ones and changes nothing.
func TestCandidateRules(t *testing.T) {
	g := prepare(t)
	g.write("rules/next.yaml", "minimize: 1\ncandidate: true\nlimit:\n  - {id: no-phones, to: support, block: [contact.phone]}\n")
	b := newBackend(t, says(jsonHead, someOrder))
	if err := g.load(b.addr, "", shop); err != nil {
		t.Fatal(err)
	}
	before := counter(t, "caddy_minimize_would_refusals_total", "candidate", "limit")
	if a := g.get("/api/orders"); a.body != supportSees {
		t.Errorf("got %+v", a)
	}
	eventually(t, func() bool {
		return counter(t, "caddy_minimize_would_refusals_total", "candidate", "limit") >= before+1
	})
	eventually(t, func() bool {
		return strings.Contains(g.read("audit.jsonl"), `"candidate":{"outcome":"refused","reason":"limit","rule":"no-phones"`)
	})
}

// TestCandidateRulesInReportMode: there, too, and each set of rules to its own end.
func TestCandidateRulesInReportMode(t *testing.T) {
	for _, encoding := range []string{"", "gzip"} {
		g := prepare(t)
		g.write("rules/next.yaml", "minimize: 1\ncandidate: true\nlimit:\n  - {id: no-phones, to: support, block: [contact.phone]}\n")
		head, body := jsonHead, someOrder
		if encoding != "" {
			head, body = head+"\nContent-Encoding: "+encoding, compressed(t, encoding, body)
		}
		b := newBackend(t, says(head, body))
		site := strings.Replace(reportSite, "reverse_proxy {upstream}", "reverse_proxy {upstream} {\ntransport http {\ncompression off\n}\n}", 1)
		if err := g.load(b.addr, "", site); err != nil {
			t.Fatal(err)
		}
		refused := counter(t, "caddy_minimize_would_refusals_total", "candidate", "limit")
		minimized := counter(t, "caddy_minimize_would_messages_total", "report", outcomeMinimized)
		if a := g.get("/api/orders"); a.body != body {
			t.Errorf("got %+v", a)
		}
		eventually(t, func() bool {
			return counter(t, "caddy_minimize_would_refusals_total", "candidate", "limit") == refused+1 &&
				counter(t, "caddy_minimize_would_messages_total", "report", outcomeMinimized) == minimized+1
		})
		eventually(t, func() bool {
			return strings.Contains(g.read("audit.jsonl"), `"candidate":{"outcome":"refused","reason":"limit","rule":"no-phones"`)
		})
	}
}

// counter sums the series of a counter that have these label values among theirs.
func counter(t *testing.T, name string, values ...string) float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	for _, c := range collectors.all {
		registry.MustRegister(c)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if hasLabels(m, values) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func hasLabels(m *dto.Metric, values []string) bool {
	have := make(map[string]bool)
	for _, l := range m.GetLabel() {
		have[l.GetValue()] = true
	}
	for _, v := range values {
		if !have[v] {
			return false
		}
	}
	return true
}
