package minimize

import (
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-minimize/minimize/rules"
)

// report lets everything pass and judges a copy. The request loses its Accept-Encoding, so that there is something to
// read; nothing else changes.
func (h *Handler) report(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, m *message) error {
	asked := r.WithContext(r.Context())
	asked.Header = r.Header.Clone()
	delete(asked.Header, "Accept-Encoding")
	t := &tee{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, m: m, head: r.Method == http.MethodHead}
	defer t.shadows.release()
	// Deferred, so that an answer that a panic cuts off is told of, too.
	defer t.report()
	if h.Inbound {
		defer wouldArrive(m, asked).end()
	}
	err := next.ServeHTTP(t, asked)
	t.ended = err == nil
	return err
}

// tee passes everything on, and shows a shadow what passed. Unlike writer it gives inner handlers the way to the client's
// writer: report mode breaks no upgrade.
type tee struct {
	*caddyhttp.ResponseWriterWrapper
	m       *message
	shadows shadows
	refusal *rules.Refusal
	status  int
	opened  bool
	opaque  bool
	head    bool
	ended   bool // the inner handlers came to their end
}

// WriteHeader remembers the status.
func (t *tee) WriteHeader(status int) {
	if t.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		t.status = status
		if status == http.StatusSwitchingProtocols {
			t.refusal = &rules.Refusal{Reason: rules.MediaType}
		}
		if disposition(t.Header()) == "attachment" {
			t.m.disclosure.Download = true
		}
	}
	t.ResponseWriterWrapper.WriteHeader(status)
}

// Write passes the bytes on and judges a copy.
func (t *tee) Write(p []byte) (int, error) {
	if t.status == 0 {
		t.WriteHeader(http.StatusOK)
	}
	n, err := t.ResponseWriterWrapper.Write(p)
	t.observe(p[:n])
	return n, err
}

// ReadFrom goes through Write.
func (t *tee) ReadFrom(r io.Reader) (int64, error) { return io.Copy(struct{ io.Writer }{t}, r) }

func (t *tee) observe(p []byte) {
	if len(p) == 0 || t.head || !bodyAllowed(t.status) || t.refusal != nil || t.unjudged() {
		return
	}
	if !t.opened {
		t.open()
	}
	t.shadows.write(p)
}

func (t *tee) open() {
	t.opened = true
	switch kindOf(t.Header(), t.m.h.media) {
	case kindOpaque:
		t.opaque = true
		return
	case kindRefused:
		t.refusal = &rules.Refusal{Reason: rules.MediaType}
		return
	}
	t.m.judge()
	t.shadows.enforced, t.shadows.candidate = newShadow(t.m, t.m.judged), t.m.newShadow()
	t.shadows.open(t.Header()["Content-Encoding"])
}

// unjudged reports whether enforcing would have asked the upstream another question, so that nobody knows its answer.
func (t *tee) unjudged() bool { return t.status == http.StatusPartialContent }

// report records what enforcing would have done.
func (t *tee) report() {
	if t.shadows.enforced != nil && t.ended {
		t.shadows.close()
	}
	t.m.recordReport(t)
}
