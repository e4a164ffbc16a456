package minimize

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/encode"

	"github.com/caddy-minimize/minimize/module/consentstore"
	"github.com/caddy-minimize/minimize/rules"
)

// guard is a store of which everybody agreed to everything until it closes. Its Send waits until the client has what was
// written, as a withdrawal waits for it.
type guard struct {
	arrived chan struct{} // closed when the client has the answer
	late    bool
	closed  bool // nobody can tell
	refuses bool // somebody said something anew, again and again
}

func (g *guard) Find(people []*rules.Person, _ [][]byte) {
	for i := range people {
		if people[i] = nil; !g.closed {
			people[i] = new(rules.Person)
		}
	}
}

func (*guard) Case(string) *rules.Case { return nil }
func (*guard) Now() time.Time          { return time.Time{} }

func (*guard) Seen([]int, string, [][]byte, int) {}

func (g *guard) Send(_ []*rules.Person, write func() error) (bool, error) {
	if g.closed || g.refuses {
		return false, nil
	}
	if err := write(); err != nil {
		return true, err
	}
	select {
	case <-g.arrived:
	case <-time.After(5 * time.Second):
		g.late = true
	}
	return true, nil
}

// guarded is an HTTP server of a handler with a store.
func guarded(t *testing.T, h *Handler, store rules.People, outside caddyhttp.MiddlewareHandler, caller rules.Caller, next caddyhttp.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		judge := func(w http.ResponseWriter, r *http.Request) error {
			m := h.newMessage(r)
			m.disclosure.Caller, m.disclosure.Purpose, m.disclosure.Subject = caller, "after_sales", "u1"
			m.people = &sending{People: store}
			m.disclosure.People = m.people
			return h.enforce(w, r, next, m)
		}
		if outside == nil {
			judge(w, r)
			return
		}
		repl := caddy.NewReplacer()
		r = caddyhttp.PrepareRequest(r, repl, w, new(caddyhttp.Server))
		outside.ServeHTTP(w, r, caddyhttp.HandlerFunc(judge))
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func encoder(t *testing.T) *encode.Encode {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	e := new(encode.Encode)
	if err := json.Unmarshal([]byte(`{"encodings":{"gzip":{}},"minimum_length":1}`), e); err != nil {
		t.Fatal(err)
	}
	if err := e.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	return e
}

// TestLeavesUnderTheGuard: what a store was asked about is with the client before a withdrawal may be acknowledged, also
// where net/http or `encode` would rather hold it (threat G5).
func TestLeavesUnderTheGuard(t *testing.T) {
	long := `{"orders":[` + strings.Repeat(`{"buyer":"u1","phone":"13800138000"},`, 3000) + `{"buyer":"u1"}]}`
	for _, test := range []struct {
		name, method string
		encode       bool
		answer       func(w http.ResponseWriter)
		length       int64 // -1: none has to be said
	}{
		{"small body", "GET", false, answers(200, "application/json", someOrder), int64(len(supportSees))},
		{"small body, compressed", "GET", true, answers(200, "application/json", someOrder), -1},
		{"long body", "GET", false, answers(200, "application/json", long), -1},
		{"empty", "GET", false, answers(200, "text/plain", ""), 0},
		{"created", "POST", false, answers(201, "text/plain", ""), 0},
		{"no content", "GET", false, answers(204, "", ""), -1},
		{"not modified", "GET", false, answers(304, "", ""), -1},
		{"HEAD", "HEAD", false, answers(200, "application/json", ""), -1},
	} {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
			t.Run(test.name+" "+protocol, func(t *testing.T) {
				h, g := newHandler(t, shopRules), &guard{arrived: make(chan struct{})}
				var outside caddyhttp.MiddlewareHandler
				if test.encode {
					outside = encoder(t)
				}
				server := guarded(t, h, g, outside, rules.Caller{ID: "u9", Roles: []string{"support"}}, func(w http.ResponseWriter, _ *http.Request) error {
					test.answer(w)
					return nil
				})
				client := server.Client()
				transport := client.Transport.(*http.Transport)
				transport.DisableCompression = true
				transport.ForceAttemptHTTP2 = protocol == "HTTP/2.0"
				if protocol == "HTTP/1.1" {
					transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
				}
				req, err := http.NewRequest(test.method, server.URL+"/api/orders", nil)
				if err != nil {
					t.Fatal(err)
				}
				if test.encode {
					req.Header.Set("Accept-Encoding", "gzip")
				}
				res, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				if res.Proto != protocol {
					t.Fatalf("got %s", res.Proto)
				}
				if encoding := res.Header.Get("Content-Encoding"); (encoding == "gzip") != test.encode {
					t.Errorf("the encoding is %q", encoding)
				}
				// The first byte of the body is there, so that its header and what came with it are.
				if res.ContentLength != 0 && test.method != "HEAD" && res.StatusCode == 200 {
					if _, err := io.ReadFull(bufio.NewReader(res.Body), make([]byte, 10)); err != nil {
						t.Fatal(err)
					}
				}
				close(g.arrived)
				io.Copy(io.Discard, res.Body)
				if g.late {
					t.Error("the answer left when the guard was gone")
				}
				if test.length >= 0 && res.ContentLength != test.length {
					t.Errorf("Content-Length is %d, want %d", res.ContentLength, test.length)
				}
			})
		}
	}
}

func answers(status int, mediaType, text string) func(w http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		if mediaType != "" {
			w.Header().Set("Content-Type", mediaType)
		}
		w.WriteHeader(status)
		if text != "" {
			io.WriteString(w, text)
		}
	}
}

// TestHeaderLeavesUnderTheGuard: a header is judged when it leaves, by what is known then; where nobody can tell what a
// data subject said, by the least.
func TestHeaderLeavesUnderTheGuard(t *testing.T) {
	const restricting = shopRules + "  - {id: phones, to: support, for: after_sales, basis: legitimate_interests, keep: [contact.phone]}\n"
	for _, test := range []struct {
		name            string
		closed, refuses bool
		want            string
	}{
		{"known", false, false, somePhone},
		{"nobody can tell", true, false, ""},
		{"nobody guards it", false, true, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, g := newHandler(t, restricting), &guard{arrived: make(chan struct{})}
			close(g.arrived)
			h.headers.passing["X-Phone"] = depthNamed
			server := guarded(t, h, g, nil, rules.Caller{ID: "u9", Roles: []string{"support"}}, func(w http.ResponseWriter, _ *http.Request) error {
				w.Header().Set("X-Phone", somePhone)
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(200)
				g.closed, g.refuses = test.closed, test.refuses
				io.WriteString(w, someOrder)
				w.Header().Set("X-Phone", "set too late")
				return nil
			})
			res, err := server.Client().Get(server.URL + "/api/orders")
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if got := res.Header.Get("X-Phone"); got != test.want {
				t.Errorf("the header is %q, want %q", got, test.want)
			}
		})
	}
}

// hasty is a store to which somebody says something as soon as somebody else was told what it knew.
type hasty struct {
	rules.People
	says func()
}

func (h *hasty) Find(people []*rules.Person, subjects [][]byte) {
	h.People.Find(people, subjects)
	h.says()
}

// TestHeaderOfWhoObjects: a header that was judged by what held before an objection does not leave once it is acknowledged.
func TestHeaderOfWhoObjects(t *testing.T) {
	const resting = shopRules + "  - {id: phones, to: support, for: after_sales, basis: legitimate_interests, keep: [contact.phone]}\n"
	for _, test := range []struct {
		name    string
		objects bool
		anew    bool // again and again
		answer  func(w http.ResponseWriter)
		want    string
		looks   int
	}{
		{"no body", false, false, answers(200, "", ""), somePhone, 1},
		{"no body, and an objection", true, false, answers(200, "", ""), "", 2},
		{"no content, and an objection", true, false, answers(204, "", ""), "", 2},
		{"a picture, and an objection", true, false, answers(200, "image/png", "picture"), "", 2},
		{"never at rest", true, true, answers(200, "", ""), "", maxHeaderJudgings},
	} {
		t.Run(test.name, func(t *testing.T) {
			store, err := consentstore.Open(consentstore.SQLite, filepath.Join(t.TempDir(), "consent.db"))
			if err != nil {
				t.Fatal(err)
			}
			source := consentstore.NewSource(store, consentstore.SourceOptions{Stale: 20 * time.Second})
			if err := source.Start(); err != nil {
				t.Fatal(err)
			}
			defer source.Close()
			looks := 0
			people := &hasty{source.For(t.Context()), func() {
				if looks++; !test.objects || looks > 1 && !test.anew {
					return
				}
				e := consentstore.Entry{Subject: "u1", Purpose: "after_sales", Event: consentstore.Object}
				if looks%2 == 0 {
					e.Event = consentstore.Unobject
				}
				if _, err := source.Apply(context.Background(), consentstore.Batch{Entries: []consentstore.Entry{e}}); err != nil {
					t.Error(err)
				}
			}}
			h := newHandler(t, resting)
			h.headers.passing["X-Phone"] = depthNamed
			var err2 error
			if h.media, err2 = parseOpaque([]Opaque{{Types: []string{"image/*"}, Reason: "pictures"}}); err2 != nil {
				t.Fatal(err2)
			}
			server := guarded(t, h, people, nil, rules.Caller{ID: "u9", Roles: []string{"support"}}, func(w http.ResponseWriter, _ *http.Request) error {
				w.Header().Set("X-Phone", somePhone)
				test.answer(w)
				return nil
			})
			res, err := server.Client().Get(server.URL + "/api/orders")
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if got := res.Header.Get("X-Phone"); got != test.want {
				t.Errorf("the header is %q, want %q", got, test.want)
			}
			if looks != test.looks {
				t.Errorf("it was judged %d times, want %d", looks, test.looks)
			}
		})
	}
}
