package minimize

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/caddyevents"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/standard"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"
	_ "github.com/caddyserver/caddy/v2/modules/logging"
	_ "github.com/caddyserver/caddy/v2/modules/metrics"
)

// shopRules are the rules of most tests: support sees masked phones, finance sees all, a customer its own orders.
const shopRules = `minimize: 1
operations: [GET /api/**, POST /api/**]
roles: [support, finance]
purposes: [after_sales]
records:
  - {at: /orders/*, subject: /buyer}
fields:
  - {at: /orders/*/phone, is: contact.phone}
  - {key: [imei], is: device.imei}
allow:
  - {id: support-sees-masked, to: support, for: after_sales, mask: [contact.phone]}
  - {id: finance-sees-all, to: finance, for: after_sales, keep: [open, general, personal, sensitive, auth.token]}
  - {id: own, to: self, for: after_sales, keep: [contact.phone]}
`

const (
	somePhone = "13800138000"
	someIMEI  = "490154203237518"
	someOrder = `{"orders":[{"buyer":"u1","phone":"13800138000","imei":"490154203237518","state":"paid"}]}`
)

// gateway is a Caddy in this process. There can be only one, so tests that use it do not run in parallel.
type gateway struct {
	t      *testing.T
	dir    string
	url    string
	client *http.Client
}

// start runs a Caddyfile in which {upstream} and {dir} stand for themselves. site is what stands in the site's block.
func start(t *testing.T, upstream, global, site string) *gateway {
	t.Helper()
	g := prepare(t)
	if err := g.load(upstream, global, site); err != nil {
		t.Fatal(err)
	}
	return g
}

// prepare makes a directory with the shop's rules and chooses a port.
func prepare(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{t: t, dir: t.TempDir(), url: "http://" + freeAddress(t), client: client}
	g.write("rules/shop.yaml", shopRules)
	g.write("keys/2026-01", "0123456789abcdef0123456789abcdef")
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// freeAddress returns an address on which nobody listens now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (g *gateway) write(name, content string) {
	g.t.Helper()
	path := filepath.Join(g.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		g.t.Fatal(err)
	}
	// Renamed into place, so that no poll reads half of it.
	if err := os.WriteFile(path+"~", []byte(content), 0o600); err != nil {
		g.t.Fatal(err)
	}
	if err := os.Rename(path+"~", path); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gateway) read(name string) string {
	g.t.Helper()
	data, err := os.ReadFile(filepath.Join(g.dir, name))
	if err != nil {
		g.t.Fatal(err)
	}
	return string(data)
}

func (g *gateway) adapt(upstream, global, site string) ([]byte, error) {
	if !strings.Contains(global, "minimize {") {
		global = "minimize {\nrules rules/*.yaml\nkeys keys\naudit output file audit.jsonl\n" + global + "\n}"
	}
	file := fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	metrics
	grace_period 1s
	storage file_system {dir}/storage
	log default {
		output file {dir}/caddy.log
		level DEBUG
	}
	%s
}
%s://:%s {
	bind 127.0.0.1
	%s
}
`, global, strings.Split(g.url, ":")[0], g.url[strings.LastIndex(g.url, ":")+1:], site)
	file = strings.NewReplacer("{dir}", g.dir, "{upstream}", upstream).Replace(file)
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(file), map[string]any{"filename": filepath.Join(g.dir, "Caddyfile")})
	return adapted, err
}

func (g *gateway) load(upstream, global, site string) error {
	config, err := g.adapt(upstream, global, site)
	if err != nil {
		return err
	}
	err = caddy.Load(config, true)
	if err != nil && strings.Contains(err.Error(), "address already in use") { // by a program that came before us
		address := freeAddress(g.t)
		g.url = g.url[:strings.LastIndex(g.url, ":")] + address[strings.LastIndex(address, ":"):]
		return g.load(upstream, global, site)
	}
	if err != nil {
		return err
	}
	if app, err := caddy.ActiveContext().AppIfConfigured("minimize"); err == nil {
		eventually(g.t, func() bool { return running.Load() == app })
	}
	eventually(g.t, func() bool { return g.listeners() <= 1 })
	return nil
}

// listeners is how many sockets listen on the gateway's port. That of the configuration before closes a moment after the new
// one runs, and the kernel resets whoever waits for it then.
func (g *gateway) listeners() int {
	port, err := strconv.Atoi(g.url[strings.LastIndex(g.url, ":")+1:])
	if err != nil {
		g.t.Fatal(err)
	}
	sockets, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return 1 // not Linux
	}
	return strings.Count(string(sockets), fmt.Sprintf(":%04X 00000000:0000 0A", port))
}

// shop is the usual site: support asks for after_sales.
const shop = `minimize {
	caller {
		role support
		purpose after_sales
	}
}
reverse_proxy {upstream}`

// answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

var client = &http.Client{
	Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       20 * time.Second,
}

func (g *gateway) get(path string, header ...string) *answer {
	g.t.Helper()
	return g.do(http.MethodGet, path, header...)
}

// do sends a request without a body.
func (g *gateway) do(method, path string, header ...string) *answer {
	g.t.Helper()
	return g.stream(method, path, nil, header...)
}

// refused checks for a clean refusal: a problem document with this status and reason, and nothing of the upstream's.
func (a *answer) refused(t *testing.T, status int, reason string) {
	t.Helper()
	if a.err != nil {
		t.Fatalf("no clean refusal but an error: %v", a.err)
	}
	if a.status != status || a.header.Get("Content-Type") != "application/problem+json" || !strings.Contains(a.body, `"reason":"`+reason+`"`) {
		t.Errorf("got status %d, type %q, body %s; want a problem document with status %d and reason %s",
			a.status, a.header.Get("Content-Type"), a.body, status, reason)
	}
	a.hides(t, somePhone, someIMEI, "upstream-secret")
}

// hides checks that none of the secrets is anywhere in the answer.
func (a *answer) hides(t *testing.T, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(a.body, secret) || strings.Contains(fmt.Sprint(a.header), secret) {
			t.Errorf("the answer shows %q: %v %s", secret, a.header, a.body)
		}
	}
}

// backend is an upstream that answers with scripted bytes, so that it may break every rule.
type backend struct {
	addr string
	mu   sync.Mutex
	seen []*http.Request
}

// script answers one request on a connection, which is closed afterwards.
type script func(conn net.Conn, r *http.Request)

func newBackend(t *testing.T, answer script) *backend {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	b := &backend{addr: l.Addr().String()}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go b.serve(conn, answer)
		}
	}()
	return b
}

func (b *backend) serve(conn net.Conn, answer script) {
	defer conn.Close()
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	b.mu.Lock()
	b.seen = append(b.seen, r)
	b.mu.Unlock()
	answer(conn, r)
}

// last is the request that the backend saw last.
func (b *backend) last() *http.Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen[len(b.seen)-1]
}

// says answers with a head and a body of known length.
func says(head, body string) script {
	return func(conn net.Conn, _ *http.Request) {
		fmt.Fprintf(conn, "HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s", strings.ReplaceAll(head, "\n", "\r\n"), len(body), body)
	}
}

// streams answers in chunks.
func streams(head string, chunks ...string) script {
	return func(conn net.Conn, _ *http.Request) {
		fmt.Fprintf(conn, "HTTP/1.1 %s\r\nTransfer-Encoding: chunked\r\n\r\n", strings.ReplaceAll(head, "\n", "\r\n"))
		for _, c := range chunks {
			fmt.Fprintf(conn, "%x\r\n%s\r\n", len(c), c)
			time.Sleep(time.Millisecond)
		}
		io.WriteString(conn, "0\r\n\r\n")
	}
}

const jsonHead = "200 OK\nContent-Type: application/json"

// rawGet sends a request by hand and returns all bytes that come back, also those that a client would not show.
func (g *gateway) rawGet(request string) string {
	g.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		g.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(conn, strings.ReplaceAll(request, "\n", "\r\n"))
	var all bytes.Buffer
	io.Copy(&all, conn)
	return all.String()
}

func (g *gateway) remove(name string) {
	g.t.Helper()
	if err := os.Remove(filepath.Join(g.dir, name)); err != nil {
		g.t.Fatal(err)
	}
}
