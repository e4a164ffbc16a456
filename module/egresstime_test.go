package minimize

import (
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestEgressFromThatSecond: a contract and a transfer that end, and a suspension that begins, while the gateway runs: under load
// over pooled connections of both versions of HTTP no request that starts afterwards arrives, nothing is loaded anew, and
// the audit log says which it was.
func TestEgressFromThatSecond(t *testing.T) {
	for _, protocol := range []int{1, 2} {
		for _, c := range []struct {
			name, home, entry, reason string
			status                    int
		}{
			{"contract", "", "contract: {until: WHEN}", "agreement", http.StatusForbidden},
			{"suspension", "", inContract + "\nsuspended: WHEN", "agreement", http.StatusForbidden},
			{"transfer", "home: CN\n", inContract + "\ncountry: US\ntransfer: {mechanism: certification, assessment: PIA, until: WHEN}", "transfer", http.StatusUnavailableForLegalReasons},
		} {
			t.Run(c.name+map[int]string{1: " over HTTP/1.1", 2: " over HTTP/2"}[protocol], func(t *testing.T) {
				wait := 1500 * time.Millisecond
				for !fromThatSecond(t, protocol, wait, c.home, c.entry, c.status, c.reason) {
					if wait *= 3; wait > time.Minute {
						t.Fatal("nothing is sent over pooled connections in time")
					}
				}
			})
		}
	}
}

// fromThatSecond reports false where the machine was too slow to send enough before the moment.
func fromThatSecond(t *testing.T, protocol int, wait time.Duration, home, entry string, status int, reason string) bool {
	t.Helper()
	s := newLateServer(t, protocol)
	g := prepare(t)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(g.dir+"/ca.pem", ca, 0o600); err != nil {
		t.Fatal(err)
	}
	when := time.Now().Add(wait)
	entry = strings.ReplaceAll(entry, "WHEN", when.UTC().Format(time.RFC3339Nano))
	g.write("rules/shop.yaml", partnerRules(s.URL, entry, everything)+home)
	if err := g.load("", "", "minimize_egress ads {\npurpose advertising\ntransport http {\ntls_trust_pool file {dir}/ca.pem\n}\n}"); err != nil {
		t.Fatal(err)
	}
	loads := running.Load().loads.Load()
	passed, refused := g.underLoad(when, status, reason)
	if s.arrived.Load() < passed || s.late.Load() != 0 {
		t.Errorf("%d passed, %d arrived, %d of them late", passed, s.arrived.Load(), s.late.Load())
	}
	audit := g.read("audit.jsonl")
	if n := strings.Count(audit, `"reason":"`+reason+`"`); int64(n) < refused || !strings.Contains(audit, `"recipient":"ads"`) || running.Load().loads.Load() != loads {
		t.Errorf("%d of %d refusals are in the audit log", n, refused)
	}
	return passed > 2*int64(s.conns.Load())
}

// lateServer is a recipient that counts what should not have arrived.
type lateServer struct {
	*httptest.Server
	arrived, late atomic.Int64
	conns         atomic.Int32
}

func newLateServer(t *testing.T, protocol int) *lateServer {
	t.Helper()
	s := new(lateServer)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return // a part of one that was on its way
		}
		s.arrived.Add(1)
		if r.ProtoMajor != protocol || r.Header.Get("X-Late") != "" {
			s.late.Add(1)
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, "{}")
	}))
	s.EnableHTTP2 = protocol == 2
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.conns.Add(1)
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// underLoad sends from many workers until some time after a moment. Whatever starts behind it has to be refused.
func (g *gateway) underLoad(when time.Time, status int, reason string) (passed, refused int64) {
	g.t.Helper()
	pooled := *g.client
	pooled.Transport = &http.Transport{MaxIdleConnsPerHost: 8}
	defer pooled.CloseIdleConnections()
	var ok, no atomic.Int64
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for no.Load() < 100 {
				req, _ := http.NewRequest(http.MethodPost, g.url, strings.NewReader(`{"imei":"490154203237518"}`))
				req.Header.Set("Content-Type", "application/json")
				late := !time.Now().Before(when)
				if late {
					req.Header.Set("X-Late", "1")
				}
				res, err := pooled.Do(req)
				if err != nil {
					g.t.Error(err)
					return
				}
				body, _ := io.ReadAll(res.Body)
				res.Body.Close()
				switch {
				case res.StatusCode == status && strings.Contains(string(body), `"reason":"`+reason+`"`):
					no.Add(1)
				case res.StatusCode == http.StatusOK && !late:
					ok.Add(1)
				case res.StatusCode == http.StatusBadGateway && !late && !time.Now().Before(when):
					// Its answer was on a connection that ended at that moment.
				default:
					g.t.Errorf("got %d %s; late is %t", res.StatusCode, body, late)
					return
				}
			}
		})
	}
	workers.Wait()
	return ok.Load(), no.Load()
}
