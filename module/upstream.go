package minimize

import (
	"errors"
	"log"
	"net"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// upstreamError says that there is no answer, without the upstream's words: Go quotes what it could not read, and error
// texts reach logs and `handle_errors`. A failed dial names the address only, so it stays.
func upstreamError(err error) error {
	status := http.StatusBadGateway
	if handler, ok := errors.AsType[caddyhttp.HandlerError](err); ok && handler.StatusCode != 0 {
		status = handler.StatusCode
	}
	text := "the upstream gave no answer that can be read"
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		text = dial.Error()
	}
	return caddyhttp.Error(status, errors.New(text))
}

// redirectStandardLog takes what Go's net/http prints by itself. It quotes what an upstream sends unasked, for instance
// the body of an answer to HEAD, and Caddy passes that on to its log (golang.org/issue/19895).
func redirectStandardLog(logger *zap.Logger) {
	log.SetFlags(0)
	log.SetOutput(standardLog{logger})
}

type standardLog struct{ logger *zap.Logger }

// Write logs the text up to what it quotes.
func (s standardLog) Write(p []byte) (int, error) {
	text, _, _ := strings.Cut(string(p), `"`)
	s.logger.Info(strings.TrimSpace(text))
	return len(p), nil
}
