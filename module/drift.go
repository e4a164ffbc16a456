package minimize

import (
	"encoding/json"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-minimize/minimize/module/openapi"
	"github.com/caddy-minimize/minimize/module/rulefile"
)

// drift compares answers with the OpenAPI documents among the rules: what a backend answers and a document does not have
// has no rule of its own. It takes one answer a second, beside the messages, so that it costs next to nothing. A nil drift,
// where no rule document is one of OpenAPI, takes none.
type drift struct {
	files   []rulefile.File
	metrics *metrics
	logger  *zap.Logger
	due     atomic.Int64 // when the next sample is taken, in nanoseconds since 1970

	mu    sync.Mutex // one comparison at a time
	specs map[string]*openapi.Spec
}

const (
	sampleEvery = time.Second
	maxSample   = 1 << 20 // bytes of a body; a longer one is no sample
)

func newDrift(files []rulefile.File, m *metrics, logger *zap.Logger) *drift {
	d := &drift{metrics: m, logger: logger}
	for _, f := range files {
		if openapi.Is(f.Data) {
			d.files = append(d.files, f)
		}
	}
	if d.files == nil {
		return nil
	}
	return d
}

// answerSample is a copy of a body. A nil one gathers nothing.
type answerSample struct {
	drift *drift
	body  []byte
}

// sample starts a sample if one is due.
func (d *drift) sample() *answerSample {
	if d == nil {
		return nil
	}
	now, due := time.Now().UnixNano(), d.due.Load()
	if now < due || !d.due.CompareAndSwap(due, now+int64(sampleEvery)) {
		return nil
	}
	return &answerSample{drift: d}
}

func (s *answerSample) write(p []byte) {
	if s != nil && len(s.body) <= maxSample {
		s.body = append(s.body, p...)
	}
}

// compare looks for members that the documents do not have, while the answer is on its way already.
func (s *answerSample) compare(method, path string) {
	if s == nil || len(s.body) > maxSample {
		return
	}
	if method == "HEAD" {
		method = "GET"
	}
	go s.drift.compare(method, path, s.body)
}

// compare runs in a goroutine of its own, where a panic would end the process.
func (d *drift) compare(method, path string, data []byte) {
	defer func() {
		if recover() != nil {
			panicked(d.logger, "an answer was compared with its OpenAPI document")
			d.metrics.panics.Inc()
		}
	}()
	var value any
	if json.Unmarshal(data, &value) != nil {
		return // judged by a stricter reader, so this does not happen
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, spec := range d.read() {
		found := spec.Drifts()
		operation := found.Add("response", method, path, value)
		if operation == "" {
			continue
		}
		d.metrics.driftSamples.WithLabelValues(name, operation).Inc()
		if len(found.List()) > 0 {
			d.metrics.drift.WithLabelValues(name, operation).Inc()
		}
	}
}

// read reads the documents, once: only samples need them.
func (d *drift) read() map[string]*openapi.Spec {
	if d.specs != nil {
		return d.specs
	}
	d.specs = map[string]*openapi.Spec{}
	for _, f := range d.files {
		extended, err := rulefile.Extended(f.Name, f.Data)
		var spec *openapi.Spec
		if err == nil {
			spec, err = openapi.Read(openapi.Text{File: f.Name, Data: f.Data}, extended)
		}
		if err != nil { // the rules of it loaded: what it extends is gone since
			d.logger.Warn("no answers are compared with an OpenAPI document that cannot be read again", zap.String("document", filepath.Base(f.Name)))
			continue
		}
		d.specs[filepath.Base(f.Name)] = spec
	}
	return d.specs
}
