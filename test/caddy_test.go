package test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-minimize/minimize"
)

// startCaddy runs the Caddyfile in this process until the test ends. A process has one Caddy, so its tests are not parallel.
func startCaddy(t *testing.T, file, caddyfile string) {
	t.Helper()
	ownStorage(t)
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": file})
	if err != nil {
		t.Fatalf("adapting %s: %v", file, err)
	}
	if err := caddy.Load(config, true); err != nil {
		t.Fatalf("starting %s: %v", file, err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping Caddy: %v", err)
		}
	})
}

// ownStorage keeps certificates and locks of a test's Caddy out of the one that this machine may run.
func ownStorage(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	caddy.DefaultStorage.Path = caddy.AppDataDir()
}

// freeAddress returns an address of this machine on which nobody listens.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// answer is a response with all that a caller sees of it.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) everything() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n", a.status)
	_ = a.header.Write(&b)
	return b.String() + a.body
}

// get asks as an ordinary client does; a token makes it the token's caller.
func get(t *testing.T, url, token string) answer {
	t.Helper()
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	return getWith(t, url, header)
}

func getWith(t *testing.T, url string, header http.Header) answer {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}
