//go:build linux

package test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// builtBinary is the folder of the gateway under test, empty while no test asked for it.
var builtBinary string

func TestMain(m *testing.M) {
	code := m.Run()
	if builtBinary != "" {
		os.RemoveAll(builtBinary)
	}
	os.Exit(code)
}

// gatewayBinary builds the gateway, once for all tests.
var gatewayBinary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "minimize-gateway-")
	if err != nil {
		return "", err
	}
	builtBinary = dir
	binary := filepath.Join(dir, "minimize")
	build := exec.Command("go", "build", "-o", binary, "./cmd/minimize")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the gateway: %w\n%s", err, out)
	}
	return binary, nil
})

// process is a gateway of its own, which a test may kill.
type process struct {
	t       testing.TB
	address string
	dir     string
	command *exec.Cmd
}

// site is what differs between the gateways of the tests.
type site struct {
	store   string // what follows `consent`; "": no store
	rules   string
	backend string
	key     string // the issuer's public key
	more    string // subdirectives of minimize
	global  string // options of the global minimize
}

// startGateway runs a gateway until the test ends, and returns when it answers.
func startGateway(t testing.TB, s site) *process {
	t.Helper()
	p := &process{t: t, address: freeAddress(t), dir: t.TempDir()}
	consent, api := "", ""
	if s.store != "" {
		consent = "consent " + s.store
		api = "handle_path /consent/* {\nminimize_consent {\n" + callers(s.key) + "\nmanage dpo\n}\n}"
	}
	p.write("rules.yaml", s.rules)
	p.write("Caddyfile", fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	metrics
	log {
		level WARN
	}
	minimize {
		rules rules.yaml
		%s
		%s
	}
}
http://%s {
	respond /up 204
	metrics /metrics
	%s
	handle {
		minimize /api/* {
			%s
			%s
		}
		reverse_proxy /api/* %s
	}
}
`, consent, s.global, p.address, api, callers(s.key), s.more, s.backend))
	t.Cleanup(func() {
		p.kill()
		if log := p.log(); t.Failed() && log != "" {
			t.Logf("the log of %s ends:\n%s", p.address, log[max(0, len(log)-4000):])
		}
	})
	p.start()
	p.waitUp()
	if s.store != "" {
		p.waitFresh()
	}
	return p
}

func callers(key string) string {
	return fmt.Sprintf(`caller {
		jwt issuer https://id.example.com audience shop key %s
		id {claim.sub}
		role {claim.role}
		guardian {claim.guardian_of}
		purpose {claim.purpose}
		case {claim.case}
	}`, key)
}

func (p *process) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// start starts the process; its log goes on where the one before it ended.
func (p *process) start() {
	p.t.Helper()
	binary, err := gatewayBinary()
	if err != nil {
		p.t.Fatal(err)
	}
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	p.command = exec.Command(binary, "run", "--config", filepath.Join(p.dir, "Caddyfile"))
	p.command.Dir = p.dir
	p.command.Env = append(os.Environ(), "XDG_DATA_HOME="+p.dir, "XDG_CONFIG_HOME="+p.dir)
	p.command.Stdout, p.command.Stderr = log, log
	// A test that runs out of time leaves no gateway behind.
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.command.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// waitUp waits until it answers.
func (p *process) waitUp() {
	p.t.Helper()
	p.wait("does not answer", func() bool {
		response, err := http.Get("http://" + p.address + "/up")
		if err == nil {
			response.Body.Close()
		}
		return err == nil
	})
}

// waitFresh waits until its store's consents count, which is after it answers.
func (p *process) waitFresh() {
	p.t.Helper()
	p.wait("does not reach its consent store", func() bool { return p.metric("consent_fresh") == 1 })
}

func (p *process) wait(what string, until func() bool) {
	p.t.Helper()
	for range 600 {
		if until() {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	p.t.Fatalf("the gateway %s after 15 seconds:\n%s", what, p.log())
}

// metric is one of our numbers without labels; -1 where there is none.
func (p *process) metric(name string) int {
	p.t.Helper()
	response, err := http.Get("http://" + p.address + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	n := -1
	if _, value, found := strings.Cut(string(body), "\ncaddy_minimize_"+name+" "); found {
		if _, err := fmt.Sscan(value, &n); err != nil {
			p.t.Fatal(err)
		}
	}
	return n
}

// kill ends the process as kill -9 does.
func (p *process) kill() {
	if p.command != nil {
		_ = p.command.Process.Kill()
		_ = p.command.Wait() // it was killed: its exit status says nothing
		p.command = nil
	}
}

func (p *process) log() string {
	log, err := os.ReadFile(filepath.Join(p.dir, "log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.t.Error(err)
	}
	return string(log)
}

// cpu is how much time of a processor the process used.
func (p *process) cpu() time.Duration {
	p.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.command.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name before it may hold spaces
	fields := strings.Fields(rest)
	var ticks time.Duration
	for _, field := range fields[11:13] { // utime and stime, in hundredths of a second
		var n time.Duration
		if _, err := fmt.Sscan(field, &n); err != nil {
			p.t.Fatal(err)
		}
		ticks += n
	}
	return ticks * 10 * time.Millisecond
}

// startBackend answers with the bodies by their paths until the test ends.
func startBackend(t testing.TB, bodies map[string][]byte) string {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := bodies[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(body)
	}))
	t.Cleanup(backend.Close)
	return backend.URL
}
