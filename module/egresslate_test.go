package minimize

import (
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-minimize/minimize/module/consentstore"
	"github.com/caddy-minimize/minimize/rules"
)

// changing is a store in which somebody says something anew once a message was judged.
type changing struct {
	guard
	sends atomic.Int32
}

// Send is called for the judging, and again when the bytes leave.
func (c *changing) Send(_ []*rules.Person, write func() error) (bool, error) {
	if c.sends.Add(1) > 1 {
		return false, nil
	}
	return true, write()
}

// TestEgressLateWithdrawal: who withdraws while a connection is made is heard before the bytes leave.
func TestEgressLateWithdrawal(t *testing.T) {
	store := new(changing)
	w := &witnesses{People: store}
	if sent, _ := w.Send([]*rules.Person{new(rules.Person)}, func() error { return nil }); !sent || len(w.people) != 1 {
		t.Fatal("nobody is remembered")
	}
	if w.still(func() { t.Error("the bytes left") }) {
		t.Error("a withdrawal is not heard")
	}
	near, far := net.Pipe()
	defer far.Close()
	conn := &guardedConn{Conn: near, t: &Egress{h: &Handler{route: &route{report: true}}}} // that nothing else is refused
	(&parcel{passage: passage{people: w}, cancel: func(error) {}}).watch(httptrace.GotConnInfo{Conn: conn})
	if n, err := conn.Write([]byte("GET / HTTP/1.1")); n > 0 || err == nil {
		t.Errorf("%d bytes of a request without a body left", n)
	}
}

// received is a recipient behind TLS that keeps what it gets, a line for each request.
type received struct {
	*httptest.Server
	mu    sync.Mutex
	lines []string
}

func newReceived(t *testing.T, protocol int) *received {
	t.Helper()
	r := new(received)
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.lines = append(r.lines, fmt.Sprintf("%d %s %s %s", req.ProtoMajor, req.Method, req.URL, body))
		r.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, "{}")
	}))
	r.EnableHTTP2 = protocol == 2
	r.StartTLS()
	t.Cleanup(r.Close)
	return r
}

func (r *received) all() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

// TestEgressRenewed: what somebody says between judging and sending is judged, and the recipient gets what that leaves. The
// audit log tells of that, and of nothing that was not sent.
func TestEgressRenewed(t *testing.T) {
	const site = "minimize_egress ads {\npurpose advertising\nsubject {header.X-Subject}\ncaller {\nid shop\n}\ntransport http {\nkeepalive off\ntls_trust_pool file {dir}/ca.pem\n}\n}"
	const body, told = `{"imei":"490154203237518","state":"paid"}`, `"device.imei strip":`
	for _, test := range []struct {
		name, entry, method, body string
		status                    int
		got, told                 string
	}{
		{"body", "denied: strip", "POST", body, 200, `POST / {"state":"paid"}`, told + "2"},
		{"no body", "denied: strip", "GET", "", 200, "GET / ", told + "1"},
		{"refused", "denied: block", "GET", "", 403, "", `"outcome":"refused","reason":"consent"`},
	} {
		for protocol := 1; protocol <= 2; protocol++ {
			t.Run(fmt.Sprintf("%s by HTTP %d", test.name, protocol), func(t *testing.T) {
				r := newReceived(t, protocol)
				g := prepare(t)
				ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw})
				if err := os.WriteFile(g.dir+"/ca.pem", ca, 0o600); err != nil {
					t.Fatal(err)
				}
				g.write("rules/shop.yaml", partnerRules(r.URL, inContract+"\n"+test.entry, "{id: ads, to: ads, for: advertising, consent: separate, keep: [device.imei]}"))
				if err := g.load("", "consent sqlite consent.db", site); err != nil {
					t.Fatal(err)
				}
				shared := running.Load().consents
				eventually(t, shared.Fresh)
				apply(t, shared, consentstore.Give, "u1", "advertising", "ads")
				var once sync.Once // there is another dial for another attempt
				whenDialing(t, func() {
					once.Do(func() { apply(t, shared, consentstore.Withdraw, "u1", "advertising", "ads") })
				})
				a := g.send(test.method, "/?imei=7", test.body, jsonType, "X-Subject: u1")
				if a.status != test.status {
					t.Fatalf("got %d %s", a.status, a.body)
				}
				want := ""
				if test.got != "" {
					want = fmt.Sprintf("%d %s", protocol, test.got)
				}
				if r.all() != want {
					t.Errorf("the recipient got %s", r.all())
				}
				lines := g.linesOf("egress")
				if len(lines) != 1 || !strings.Contains(lines[0], test.told) || strings.Contains(lines[0], "imei keep") {
					t.Errorf("the audit log tells\n%s", strings.Join(lines, "\n"))
				}
			})
		}
	}
}

// linesOf are the lines of the audit log about one direction.
func (g *gateway) linesOf(direction string) []string {
	g.t.Helper()
	var lines []string
	for line := range strings.Lines(g.read("audit.jsonl")) {
		if strings.Contains(line, `"direction":"`+direction+`"`) {
			lines = append(lines, line)
		}
	}
	return lines
}
