package minimize

import (
	"io"
	"net/http"
	"sync"

	"github.com/caddy-minimize/minimize/rules"
)

// would is what enforcing would have done with a request.
type would struct {
	p      *passage
	head   judgedHead // its report is the passage's
	source io.ReadCloser

	mu        sync.Mutex // the transport reads the body in its own time
	shadows   shadows
	elsewhere *rules.Refusal // of the address that the request went to
	ended     bool
}

// watch has a copy of the request's body judged as it is read.
func (w *would) watch(out *http.Request) {
	p := w.p
	if out.Body == nil || out.Body == http.NoBody {
		return
	}
	kind, refusal := p.kind()
	if w.head.refusal = refusal; refusal != nil || kind.unread {
		return
	}
	w.shadows.enforced = p.message.shadowOf(p.judged, kind)
	if p.rules.candidate != nil {
		w.shadows.candidate = p.message.shadowOf(p.judgeBeside(), kind)
	}
	w.shadows.open(p.req.Header["Content-Encoding"])
	w.source, out.Body = out.Body, w
}

// Read hands on what comes and judges a copy.
func (w *would) Read(q []byte) (int, error) {
	n, err := w.source.Read(q)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return n, err
	}
	w.shadows.write(q[:n])
	if err == io.EOF {
		w.shadows.close()
	}
	return n, err
}

// Close closes the body.
func (w *would) Close() error { return w.source.Close() }

// end records what enforcing would have done.
func (w *would) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	addReport(&w.head.report, &w.p.report)
	res := w.head.and(w.shadows.enforced.result())
	switch {
	case w.p.denied != nil:
		res.outcome = outcomeUnauthorized
	case res.refusal == nil && w.elsewhere != nil:
		res.outcome, res.refusal = outcomeRefused, w.elsewhere
	}
	w.p.message.recordWould(res, w.p.beside.and(w.shadows.candidate.result()))
	w.shadows.release()
}
