package cmd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func demoCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "demo [--port <port>] [--once] [--no-open]",
		Short: "Starts a small shop behind the gateway and shows what six callers see of it",
		Long: `Starts a small shop with made-up orders, the gateway in front of it, its console and a metrics page, all in this process and for
this machine only. Opens the console in a browser where there is a display, prints what six callers see and how to ask yourself. Ctrl-C stops it; nothing is left behind.`,
		Args: cobra.NoArgs,
	}
	c.Flags().Int("port", 8080, "Port of the gateway; the next free one if it is taken")
	c.Flags().Bool("once", false, "Ask as every caller, print what they see and stop; exit 1 if they see what they may not")
	c.Flags().Bool("no-open", false, "Open no browser")
	c.RunE = caddycmd.WrapCommandFuncForCobra(func(fl caddycmd.Flags) (int, error) {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		if err := runDemo(ctx, os.Stdout, fl.Int("port"), fl.Bool("once"), !fl.Bool("no-open")); err != nil {
			return caddy.ExitCodeFailedStartup, fmt.Errorf("running the demo: %w", err)
		}
		return caddy.ExitCodeSuccess, nil
	})
	return c
}

// demo is one run of it.
type demo struct {
	dir      string // rules, keys, tokens and the audit file; removed at the end
	url      string // of the gateway
	callers  []*demoCaller
	visitors []*demoCaller // who come only in its own traffic
	officer  *demoCaller   // who looks at the console
}

func newDemo(dir string) *demo {
	return &demo{dir: dir, callers: demoCallers(), visitors: demoVisitors(), officer: demoOfficer()}
}

func runDemo(ctx context.Context, out io.Writer, port int, once, open bool) error {
	dir, err := os.MkdirTemp("", "minimize-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d := newDemo(dir)
	stop, err := d.start(port)
	if err != nil {
		return err
	}
	defer stop()

	seen, err := d.ask(ctx)
	if err != nil {
		return err
	}
	printDemo(out, d, seen, once)
	if once {
		return seen.check()
	}
	if open && shows(out) {
		openBrowser(ctx, d.console())
	}
	d.traffic(ctx)
	fmt.Fprintln(out, "\nStopped.")
	return nil
}

// useOwnStorage keeps Caddy's locks and certificates out of the directory that a real Caddy of this user may have.
func (d *demo) useOwnStorage() error {
	if err := os.Setenv("XDG_DATA_HOME", filepath.Join(d.dir, "data")); err != nil {
		return err
	}
	caddy.DefaultStorage.Path = caddy.AppDataDir()
	return nil
}

// start mints the tokens and starts the shop, those that it sends to, and the gateway. The function it returns stops all.
func (d *demo) start(port int) (func(), error) {
	if err := d.useOwnStorage(); err != nil {
		return nil, err
	}
	if err := mintTokens(d.dir, slices.Concat(d.callers, d.visitors, []*demoCaller{d.officer})); err != nil {
		return nil, err
	}
	if err := d.makeKey(); err != nil {
		return nil, err
	}
	shop, err := newShop(d.page)
	if err != nil {
		return nil, err
	}
	addresses, closeBackends, err := serveBackends(shop, newPartner(), newPartner())
	if err != nil {
		return nil, err
	}
	stop := func() {
		_ = caddy.Stop() // the process ends anyway
		closeBackends()
	}
	if err := d.startGateway(port, addresses); err != nil {
		stop()
		return nil, err
	}
	if err := d.agree(); err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

// makeKey makes the key of the demo's pseudonyms, which nobody has when it is over.
func (d *demo) makeKey() error {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails, as its documentation says
	dir := filepath.Join(d.dir, "keys")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "demo"), key, 0o600)
}

// serveBackends serves each on a port of its own, which only the gateway knows.
func serveBackends(handlers ...http.Handler) (addresses []string, stop func(), err error) {
	var servers []*http.Server
	stop = func() {
		for _, server := range servers {
			server.Close()
		}
	}
	for _, handler := range handlers {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			stop()
			return nil, nil, fmt.Errorf("starting a backend: %w", err)
		}
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
		go func() { _ = server.Serve(listener) }() // it ends with Close
		servers, addresses = append(servers, server), append(addresses, listener.Addr().String())
	}
	return addresses, stop, nil
}

// startGateway loads the demo's Caddyfile into this process. The backends are the shop, the warehouse and the ads partner.
func (d *demo) startGateway(port int, backends []string) error {
	port, err := freePort(port)
	if err != nil {
		return err
	}
	d.url = "http://127.0.0.1:" + strconv.Itoa(port)
	fill := strings.NewReplacer("{$PORT}", strconv.Itoa(port), "{$SHOP}", backends[0], "{$WAREHOUSE}", backends[1], "{$ADS}", backends[2],
		"{$OFFICER}", d.officer.token, "{$COOKIE}", "console-"+strings.ToLower(rand.Text()[:8]))
	for _, name := range []string{"Caddyfile", "rules.yaml", "partners.yaml", "stock.yaml", "stricter.yaml"} {
		text, err := demoFiles.ReadFile("demo/" + name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(d.dir, name), []byte(fill.Replace(string(text))), 0o600); err != nil {
			return err
		}
	}
	file := filepath.Join(d.dir, "Caddyfile")
	caddyfile, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(caddyfile, map[string]any{"filename": file})
	if err != nil {
		return fmt.Errorf("reading the demo's Caddyfile: %w", err)
	}
	if err := caddy.Load(config, true); err != nil {
		return fmt.Errorf("starting the gateway: %w", err)
	}
	return nil
}

// freePort looks where nobody listens. Caddy itself would share a port with another Caddy instead of failing.
func freePort(from int) (int, error) {
	const tries = 100
	for port := from; port < from+tries; port++ {
		listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			return port, listener.Close()
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return 0, fmt.Errorf("listening on port %d: %w", port, err)
		}
	}
	return 0, fmt.Errorf("ports %d to %d are all taken: choose one with --port", from, from+tries-1)
}
