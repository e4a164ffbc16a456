package minimize

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/tidwall/gjson"

	"github.com/caddy-minimize/minimize/module/auditlog"
)

func init() { caddy.RegisterModule(new(disk)) }

// disk is a log writer that can be full.
type disk struct {
	mu      sync.Mutex
	written bytes.Buffer
	full    bool
	room    int // bytes that still fit when it is full
}

// theDisk is the only one.
var theDisk = new(disk)

func (*disk) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.logging.writers.test_disk", New: func() caddy.Module { return new(disk) }}
}
func (*disk) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { d.Next(); return nil }
func (*disk) String() string                                  { return "test_disk" }
func (*disk) WriterKey() string                               { return "test_disk" }
func (*disk) OpenWriter() (io.WriteCloser, error)             { return theDisk, nil }
func (*disk) Close() error                                    { return nil }

func (d *disk) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full {
		n, _ := d.written.Write(p[:min(d.room, len(p))])
		d.room = 0
		return n, errors.New("no space left on device")
	}
	return d.written.Write(p)
}

// fill leaves room for so many bytes; less than 0: it is empty again.
func (d *disk) fill(room int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full, d.room = room >= 0, room
}

func (d *disk) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.written.String()
}

const onDisk = "minimize {\nrules rules/*.yaml\nkeys keys\naudit required output test_disk\n"

// newDisk is an empty one.
func newDisk(t *testing.T) *disk {
	t.Helper()
	theDisk = new(disk)
	return theDisk
}

// TestAuditRequired: what cannot be told of is not sent, whichever way it goes. Once there is room it is.
func TestAuditRequired(t *testing.T) {
	for _, test := range []struct {
		name, rules, site, method, body string
		reply                           string
	}{
		{"response", shopRules, shop, "GET", "", someOrder},
		{"response that passes unread", shopRules, strings.Replace(shop, "minimize {", "minimize {\nopaque image/png \"a test\"", 1), "GET", "", "a picture"},
		{"inbound", "", search, "POST", `{"imei":"490154203237518"}`, "{}"},
		{"inbound without a body", "", search, "GET", "", "{}"},
		{"egress", "", toAds, "POST", `{"state":"paid"}`, "{}"},
		{"egress of a long body", "", toAds, "POST", `{"state":"` + strings.Repeat("paid ", 100_000) + `"}`, "{}"},
		{"egress without a body", "", toAds, "GET", "", "{}"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, r, g := newDisk(t), newRecorder(t), prepare(t)
			r.reply = func(*http.Request, string) string {
				mediaType := "application/json"
				if test.reply == "a picture" {
					mediaType = "image/png"
				}
				return "HTTP/1.1 200 OK\r\nContent-Type: " + mediaType + "\r\nContent-Length: " + strconv.Itoa(len(test.reply)) + "\r\n\r\n" + test.reply
			}
			switch test.site {
			case search:
				g.write("rules/shop.yaml", strings.Replace(collecting, "%s", "", 1))
			case toAds:
				g.write("rules/shop.yaml", partnerRules("http://"+r.addr, inContract, noCards))
			}
			if err := g.load(r.addr, onDisk+"}", test.site); err != nil {
				t.Fatal(err)
			}
			d.fill(0)
			for range 2 {
				g.send(test.method, "/api/orders", test.body, jsonType).refused(t, 503, "unavailable")
			}
			if !strings.HasPrefix(test.name, "response") && r.all() != "" {
				t.Errorf("what cannot be told of was sent: %.300s", r.all())
			}
			d.fill(-1)
			if a := g.send(test.method, "/api/orders", test.body, jsonType); a.err != nil || a.status != 200 {
				t.Errorf("once there is room it is %+v", a)
			}
			if text := d.text(); !strings.HasPrefix(text, `{"seq":1,`) {
				t.Errorf("the log begins with %.200s", text)
			}
		})
	}
}

// TestAuditRequiredBegins: nothing of a message that flows leaves before its first entry.
func TestAuditRequiredBegins(t *testing.T) {
	for name, c := range map[string]struct{ method, body, reply, site string }{
		"response": {"GET", "", `{"orders":[` + strings.Repeat(someOrder+",", 2000) + someOrder + `]}`, strings.Replace(shop, "minimize {", "minimize {\nhold 4KiB", 1)},
		"request":  {"POST", `{"state":[` + strings.Repeat(`"paid",`, 20_000) + `"paid"]}`, "{}", strings.Replace(toAds, "}", "hold 4KiB\n}", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			d, r, g := newDisk(t), newRecorder(t), prepare(t)
			r.reply = func(*http.Request, string) string {
				return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(c.reply)) + "\r\n\r\n" + c.reply
			}
			if c.method == "POST" {
				g.write("rules/shop.yaml", partnerRules("http://"+r.addr, inContract, noCards))
			}
			if err := g.load(r.addr, onDisk+"}", c.site); err != nil {
				t.Fatal(err)
			}
			d.fill(0)
			g.send(c.method, "/api/orders", c.body, jsonType).refused(t, 503, "unavailable")
			if c.method == "POST" && strings.Contains(r.all(), "paid") {
				t.Errorf("the recipient has %.200q", r.all())
			}
			d.fill(-1)
			if a := g.send(c.method, "/api/orders", c.body, jsonType); a.status != 200 {
				t.Fatalf("got %d, %v", a.status, a.err)
			}
			first, rest, _ := strings.Cut(d.text(), "\n")
			if gjson.Get(first, "outcome").Str != "begun" || !strings.Contains(rest, `"decision":"`+gjson.Get(first, "decision").Str) {
				t.Errorf("the log is %s\n%s", first, rest)
			}
		})
	}
}

// TestAuditRequiredAborts: an answer that flows already ends before its last byte.
func TestAuditRequiredAborts(t *testing.T) {
	d, g := newDisk(t), prepare(t)
	orders := strings.Repeat(someOrder+",", 2000)
	all := `{"orders":[` + orders + someOrder + `]}`
	b := newBackend(t, func(conn net.Conn, _ *http.Request) {
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "+strconv.Itoa(len(all))+"\r\n\r\n"+all[:len(all)/2])
		eventually(t, func() bool { return strings.Contains(d.text(), `"outcome":"begun"`) })
		d.fill(0)
		io.WriteString(conn, all[len(all)/2:])
	})
	site := strings.Replace(shop, "minimize {", "minimize {\nhold 4KiB", 1)
	if err := g.load(b.addr, onDisk+"}", site); err != nil {
		t.Fatal(err)
	}
	if a := g.get("/api/orders"); a.err == nil || a.status != 200 || a.body == "" || strings.HasSuffix(a.body, "]}") {
		t.Errorf("got status %d, %v, and an end %q", a.status, a.err, a.body[max(0, len(a.body)-50):])
	}
	d.fill(-1)
}

// TestAuditRequiredAbortsRequests: neither our backend nor a recipient has a request whole then, whatever its length is.
func TestAuditRequiredAbortsRequests(t *testing.T) {
	for _, site := range []string{strings.Replace(search, "inbound", "inbound\nhold 4KiB", 1), strings.Replace(toAds, "}", "hold 4KiB\n}", 1)} {
		for _, more := range []int{0, 1, 4096, 5000} {
			t.Run("", func(t *testing.T) {
				d, r, g := newDisk(t), newRecorder(t), prepare(t)
				if strings.HasPrefix(site, "minimize_egress") {
					g.write("rules/shop.yaml", partnerRules("http://"+r.addr, inContract, noCards))
				} else {
					g.write("rules/shop.yaml", strings.Replace(collecting, "%s", "", 1))
				}
				if err := g.load(r.addr, onDisk+"}", site); err != nil {
					t.Fatal(err)
				}
				read, write := io.Pipe()
				go func() {
					io.WriteString(write, `{"state":[`+strings.Repeat(`"paid",`, 20_000))
					eventually(t, func() bool { return len(r.all()) > 0 && strings.Contains(d.text(), `"outcome":"begun"`) })
					d.fill(0)
					io.WriteString(write, strings.Repeat(" ", more)+`"paid"]}`)
					write.Close()
				}()
				a := g.stream("POST", "/api/orders", read, jsonType)
				a.refused(t, 503, "unavailable")
				r.mu.Lock()
				whole := len(r.requests)
				r.mu.Unlock()
				if sent := r.all(); whole > 0 || strings.HasSuffix(sent, "0\r\n\r\n") || strings.Contains(sent, "]}") {
					t.Errorf("%s: the request was sent whole", site)
				}
			})
		}
	}
}

// TestAuditRequiredRecovers: behind a disk that was full the chain goes on without a gap, and what was cut off is named.
func TestAuditRequiredRecovers(t *testing.T) {
	d := newDisk(t)
	b := newBackend(t, says(jsonHead, someOrder))
	g := start(t, b.addr, onDisk+"}", shop)
	entries, failures := counter(t, "caddy_minimize_audit_entries_total"), counter(t, "caddy_minimize_audit_failures_total")
	g.get("/api/orders")
	d.fill(100)
	g.get("/api/orders").refused(t, 503, "unavailable")
	d.fill(-1)
	for range 2 {
		if a := g.get("/api/orders"); a.status != 200 {
			t.Errorf("got %+v", a)
		}
	}
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.WriteFile(file, []byte(d.text()), 0o600); err != nil {
		t.Fatal(err)
	}
	v := &auditlog.Verifier{}
	if err := v.Verify([]string{file}, func(int) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if v.Head.Seq != 3 || len(v.Findings) != 1 || v.Findings[0].Line != 2 || !strings.Contains(v.Findings[0].What, "cut off while it was written") {
		t.Errorf("%+v in\n%s", v, d.text())
	}
	if got := counter(t, "caddy_minimize_audit_entries_total") - entries; got != 3 {
		t.Errorf("%v entries are counted", got)
	}
	if got := counter(t, "caddy_minimize_audit_failures_total") - failures; got != 2 { // the answer, and its refusal
		t.Errorf("%v failures are counted", got)
	}
	if v := counter(t, "caddy_minimize_audit_required"); v != 1 {
		t.Errorf("audit_required is %v", v)
	}
}

// TestAuditRequiredReport: report mode stops nothing.
func TestAuditRequiredReport(t *testing.T) {
	d := newDisk(t)
	b := newBackend(t, says(jsonHead, someOrder))
	g := start(t, b.addr, onDisk+"}", strings.Replace(shop, "minimize {", "minimize {\nmode report", 1))
	d.fill(0)
	if a := g.get("/api/orders"); a.status != 200 || a.body != someOrder {
		t.Errorf("got %+v", a)
	}
}

// TestAuditRequiredConsent: a change that cannot be told of is not made, and a look at somebody's record not answered. What
// was told of and not stored is told of as that.
func TestAuditRequiredConsent(t *testing.T) {
	disk := newDisk(t)
	d := newDesk(t, "sqlite consent.db", says(jsonHead, someOrder))
	adapted := onDisk + "consent sqlite consent.db\n}"
	if err := d.load(newBackend(t, says(jsonHead, someOrder)).addr, adapted, strings.ReplaceAll(consentSite, "{issuer}", d.issuer.server.URL)); err != nil {
		t.Fatal(err)
	}
	const path = "subjects/me/consents/after_sales"
	u1, dpo := d.as("u1", ""), d.as("clerk", "dpo")
	disk.fill(0)
	if a := d.call("PUT", path, explicit, u1); a.status != 503 || !strings.Contains(a.body, "audit log") {
		t.Errorf("giving got %d %s", a.status, a.body)
	}
	if a := d.call("GET", "subjects/u1", "", dpo); a.status != 503 || strings.Contains(a.body, "u1") {
		t.Errorf("a look got %d %s", a.status, a.body)
	}
	if a := d.call("GET", "subjects/me", "", u1); !strings.Contains(a.body, `"consents":[]`) {
		t.Errorf("it is stored: %s", a.body)
	}
	disk.fill(-1)
	for range 2 {
		d.must("PUT", path, explicit, u1)
	}
	var events []string
	for line := range strings.Lines(disk.text()) {
		_, event, _ := strings.Cut(line, `"event":"`)
		events = append(events, event[:strings.IndexByte(event, '"')])
	}
	if got := strings.Join(events, " "); got != "given given not_stored" {
		t.Errorf("the log tells of %s", got)
	}
}

// TestAuditRequiredLoads: a required log needs a place.
func TestAuditRequiredLoads(t *testing.T) {
	app := &App{AuditRequired: true}
	if _, err := app.provisionAudit(caddy.Context{}); err == nil || !strings.Contains(err.Error(), "audit required output file") {
		t.Errorf("got %v", err)
	}
}

// TestAuditRequiredFullDevice: a full disk that is one.
func TestAuditRequiredFullDevice(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no /dev/full, whose writes all fail")
	}
	b := newBackend(t, says(jsonHead, someOrder))
	g := start(t, b.addr, "minimize {\nrules rules/*.yaml\naudit required output file /dev/full {\nroll_disabled\n}\n}", shop)
	g.get("/api/orders").refused(t, 503, "unavailable")
}
