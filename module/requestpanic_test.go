package minimize

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// boom is what the readers here panic at: one byte, so that no two reads share it. Their words hold a value.
const boom = "!"

// trapped is a body that panics where boom stands.
type trapped struct {
	io.Reader
	io.Closer
}

// Read reads until it panics.
func (b *trapped) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if strings.Contains(string(p[:n]), boom) {
		panic("with a value: " + somePhone)
	}
	return n, err
}

// traps is a handler whose request bodies are trapped for who reads them behind it.
type traps struct{}

func init() {
	caddy.RegisterModule(new(traps))
	httpcaddyfile.RegisterHandlerDirective("traps", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) { return new(traps), nil })
	httpcaddyfile.RegisterDirectiveOrder("traps", httpcaddyfile.Before, "request_body")
}

// CaddyModule returns the Caddy module information.
func (*traps) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.traps", New: func() caddy.Module { return new(traps) }}
}

// ServeHTTP traps the body.
func (*traps) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	r.Body = &trapped{r.Body, r.Body}
	return next.ServeHTTP(w, r)
}

// trappedDecoder has a coding whose decoder panics in the middle, or at the end where it is told so.
func trappedDecoder(t *testing.T) {
	decoders["x-trapped"] = func(d *decoder) (io.Reader, error) { return &trapped{d, io.NopCloser(nil)}, nil }
	decoders["x-endless"] = func(d *decoder) (io.Reader, error) {
		return readerFunc(func(p []byte) (int, error) {
			n, err := d.Read(p)
			if err == io.EOF {
				panic("with a value: " + somePhone)
			}
			return n, err
		}), nil
	}
	t.Cleanup(func() { delete(decoders, "x-trapped"); delete(decoders, "x-endless") })
}

type readerFunc func(p []byte) (int, error)

// Read calls it.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestPanicInRequest: a panic while a request's body is read or judged is a refusal of that request alone, within the hold and
// past it, where the transport reads the body in a goroutine of its own. Its words are nowhere.
func TestPanicInRequest(t *testing.T) {
	trappedDecoder(t)
	for _, position := range []struct{ name, site string }{
		{"inbound", "traps\n" + siteWith("hold 64KiB")},
		{"egress", "traps\nminimize_egress ads {\npurpose advertising\nhold 64KiB\n}"},
	} {
		for _, where := range []struct {
			name, coding string
			length       int
			end          string
		}{
			{"reading, at once", "", 0, boom},
			{"reading, within the hold", "", 40 << 10, boom},
			{"reading, past the hold", "", 8 << 20, boom},
			{"judging, within the hold", "x-trapped", 40 << 10, boom},
			{"judging, past the hold", "x-trapped", 8 << 20, boom},
			{"finishing, within the hold", "x-endless", 40 << 10, "0]"},
			{"finishing, past the hold", "x-endless", 8 << 20, "0]"},
		} {
			t.Run(position.name+", "+where.name, func(t *testing.T) {
				r := newRecorder(t)
				var g *gateway
				site := position.site
				if where.coding != "" {
					site = strings.TrimPrefix(site, "traps\n")
				}
				if position.name == "inbound" {
					g = inbound(t, r, collectsAll, site)
				} else {
					g = egress(t, r, inContract, everything, site)
				}
				before := counter(t, "caddy_minimize_panics_total")
				header := []string{jsonType}
				if where.coding != "" {
					header = append(header, "Content-Encoding: "+where.coding)
				}
				long := "[" + strings.Repeat(`"paid",`, where.length/7) + where.end
				if a := g.stream("POST", "/", strings.NewReader(long), header...); a.err == nil {
					a.refused(t, http.StatusServiceUnavailable, "unavailable")
				} else if !strings.Contains(a.err.Error(), "reset") && !strings.Contains(a.err.Error(), "broken pipe") {
					t.Error(a.err)
				}
				if got := counter(t, "caddy_minimize_panics_total"); got != before+1 {
					t.Errorf("%v panics are counted, want 1", got-before)
				}
				if len(r.bodies) != 0 || where.length < 64<<10 && r.all() != "" {
					t.Errorf("the recipient received %d whole bodies and %d bytes", len(r.bodies), len(r.all()))
				}
				if log := g.read("caddy.log"); strings.Contains(log, somePhone) || !strings.Contains(log, "panicking while a request was judged") {
					t.Errorf("the log is %s", log)
				}
				if a := g.send("POST", "/", "[]", jsonType); a.status != http.StatusOK {
					t.Errorf("the next request: got %d %s %v", a.status, a.body, a.err)
				}
			})
		}
	}
}

// TestPanicInClosedBody: a body that is closed while a read of it panics is given back, and stays closed.
func TestPanicInClosedBody(t *testing.T) {
	h := newHandler(t, shopRules)
	req, err := http.NewRequest("POST", "/api/orders", nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &passage{message: h.newMessage(req), req: req}
	p.judge()
	b := &outgoing{p: p, kind: requestKind{mediaType: "application/json"}, in: make([]byte, readSize)}
	if err := b.open(); err != nil {
		t.Fatal(err)
	}
	b.source = readerFunc(func([]byte) (int, error) {
		b.Close()
		panic("with a value: " + somePhone)
	})
	if _, err := b.Read(make([]byte, 10)); !errors.Is(err, errClosed) || b.body != nil {
		t.Errorf("got %v; given back: %v", err, b.body == nil)
	}
}
