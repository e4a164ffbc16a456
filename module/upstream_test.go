package minimize

import (
	"errors"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// TestUpstreamError: an error keeps its status and loses the upstream's words.
func TestUpstreamError(t *testing.T) {
	raw := caddyhttp.Error(http.StatusGatewayTimeout, errors.New(`malformed HTTP response "13800138000"`))
	err, ok := errors.AsType[caddyhttp.HandlerError](upstreamError(raw))
	if !ok || err.StatusCode != http.StatusGatewayTimeout || strings.Contains(err.Error(), "138") {
		t.Errorf("%v", err)
	}
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	if text := upstreamError(caddyhttp.Error(http.StatusBadGateway, dial)).Error(); !strings.Contains(text, "connection refused") {
		t.Errorf("%s: why the backend is down must be told", text)
	}
}

// TestStandardLog: what net/http quotes of an unasked answer is not logged.
func TestStandardLog(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	before, flags := log.Writer(), log.Flags()
	defer func() { log.SetOutput(before); log.SetFlags(flags) }()
	redirectStandardLog(zap.New(core))
	log.Printf("Unsolicited response received on idle HTTP channel starting with %q; err=%v", `{"phone":"13800138000"}`, nil)
	if logs.Len() != 1 || logs.All()[0].Message != "Unsolicited response received on idle HTTP channel starting with" {
		t.Errorf("%v", logs.All())
	}
}

// TestPathsThatDiffer: a path that upstreams read one way or another names no rules and no data subject.
func TestPathsThatDiffer(t *testing.T) {
	for target, want := range map[string][2]bool{ // rules, subject
		"/api/users/1": {true, true}, "/api/users/1/../2": {false, true}, "/api/users/1/%2e%2e/2": {false, true}, "/api/./users": {false, true},
		"/api/..;/users": {false, false}, "/api//users": {true, false}, "/api/users;x/1": {true, false}, "/api/a%2fb": {false, true},
		"/api/..a/b": {true, true}, "/api/..a/b.": {false, true},
	} {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		_, _, ok := asSent(r)
		if ok != want[0] || countable(r) != want[1] {
			t.Errorf("%s: %v, %v, want %v", target, ok, countable(r), want)
		}
	}
}
