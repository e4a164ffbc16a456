package minimize

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-minimize/minimize/rules"
)

// canaryKey marks the request of a canary. No client can set what stands in a context.
type canaryKey struct{}

func isCanary(r *http.Request) bool { return r.Context().Value(canaryKey{}) != nil }

// canarySize is how long an answer of the canned upstream is, about, where the route takes that much.
const canarySize = 16 << 10

// canaryQuestion is what a canary asks of a route.
type canaryQuestion struct {
	h      *Handler
	method string
	path   string
	record *canaryRecord
}

// operations are those that are asked this time: the root, which no document may name, and some that documents do.
func (r *canaryRoute) operations(set *rules.Ruleset, most int) []rules.Operation {
	asked := []rules.Operation{{Method: http.MethodGet, Path: "/"}}
	all := set.Operations()
	for i := range min(most, len(all)) {
		o := all[(r.turn*most+i)%len(all)]
		if o.Method == "*" || o.Method == http.MethodHead {
			o.Method = http.MethodGet
		}
		asked = append(asked, o)
	}
	return asked
}

func newCanaryQuestion(h *Handler, set *rules.Ruleset, o rules.Operation, turn int) *canaryQuestion {
	path := strings.NewReplacer("**", "0", "*", "0").Replace(o.Path)
	asked := rules.Operation{Method: o.Method, Path: path}
	token := neutral
	for _, c := range []byte(rand.Text()[:8]) {
		token += consonants[c%20 : c%20+1]
	}
	tables := h.givenToAnonymous(set.AnswerScope(o.Method, path))
	return &canaryQuestion{h: h, method: o.Method, path: path, record: newCanaryRecord(set, asked, tables, h.ResponseHeaders, token, turn)}
}

// givenToAnonymous is what the rules decide for whoever asks without credentials, by what the configuration says of every
// caller: of the message, and of each kind of record, with and without answers to what the rules ask about it.
func (h *Handler) givenToAnonymous(scope *rules.Scope) (tables []*rules.Table) {
	for _, subject := range []string{"", neutral} {
		d := h.withoutCredentials()
		d.Subject = subject
		j := scope.Judge(&d)
		add := func(p rules.Pending) {
			tables = append(tables, j.Table(j.Complete(&p, new(rules.Person), 1, d.Time)))
		}
		message, _ := j.Message()
		add(message)
		for row := range scope.Records() {
			values := make([]rules.Value, scope.SlotCount())
			add(j.Begin(row, values))
			for i := range values {
				values[i] = rules.Value{State: rules.Known, Text: []byte(neutral)}
			}
			add(j.Begin(row, values))
		}
	}
	return slices.Compact(tables)
}

// withoutCredentials is what is disclosed to whoever asks without any, as the configuration has it.
func (h *Handler) withoutCredentials() rules.Disclosure {
	d := rules.Disclosure{Position: rules.Response, Download: h.Download, Issues: h.issues, Time: time.Now()}
	if h.app.consents != nil {
		d.People = nobodys{}
	}
	if c := h.Caller; c != nil {
		d.Purpose = constantOf(c.Purpose)
		d.Caller = rules.Caller{
			ID: constantOf(c.ID), Roles: splitRoles(constantOf(c.Role)), Organisation: constantOf(c.Organisation),
			Country: strings.ToUpper(constantOf(c.Country)), CaseID: constantOf(c.Case), Claims: map[string]string{},
		}
		if ward := constantOf(c.Guardian); ward != "" {
			d.Caller.Guardian = []string{ward}
		}
		for name, text := range c.Claims {
			if value := constantOf(text); value != "" {
				d.Caller.Claims[name] = value
			}
		}
	}
	return d
}

// constantOf is a field of the configuration, "" where a caller fills it.
func constantOf(text string) string {
	if text = caddy.NewReplacer().ReplaceKnown(text, ""); strings.Contains(text, "{") {
		return ""
	}
	return text
}

// nobodys is a store that nobody has said anything to. A canary's data subjects are made up, so that the store of the
// configuration neither hears of them nor counts them.
type nobodys struct{}

func (nobodys) Find(people []*rules.Person, _ [][]byte) {
	for i := range people {
		people[i] = new(rules.Person)
	}
}

func (nobodys) Case(string) *rules.Case { return nil }

func (nobodys) Seen(nth []int, _ string, _ [][]byte, _ int) {
	for i := range nth {
		nth[i] = 1
	}
}

func (nobodys) Now() time.Time { return time.Now() }

func (nobodys) Send(_ []*rules.Person, write func() error) (bool, error) { return true, write() }

// ask returns what came out and should not.
func (q *canaryQuestion) ask(ctx context.Context) (leaks []*canaryValue, err error) {
	most := canarySize
	if q.h.HoldAll {
		most = min(most, int(q.h.MaxBody)/2)
	}
	for _, d := range q.record.documents(most) {
		answer, err := q.answer(ctx, &d)
		if answer != nil {
			leaks = append(leaks, q.leaks(&d, answer)...)
		}
		if err = cmp.Or(err, ctx.Err()); err != nil || len(leaks) > 0 {
			return leaks, err
		}
	}
	return nil, nil
}

// answer has the handler judge a document, and waits for it so long; also where the context ends, since an app that stops
// gives back what its handlers use.
func (q *canaryQuestion) answer(ctx context.Context, d *canaryDocument) (*canaryAnswer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	patience := time.NewTimer(canaryPatience)
	defer patience.Stop()
	type result struct {
		answer *canaryAnswer
		err    error
	}
	done := make(chan result, 1)
	go func() {
		answer := &canaryAnswer{header: make(http.Header)}
		err := q.serve(ctx, answer, d)
		done <- result{answer, err}
	}()
	select {
	case r := <-done:
		if r.err == nil && !r.answer.judged() {
			r.err = fmt.Errorf("the handler answered with the status %d", r.answer.status)
		}
		return r.answer, r.err
	case <-patience.C:
		return nil, errors.New("the handler did not answer in time")
	}
}

// serve calls the handler. One that cuts the answer off has refused the rest of it.
func (q *canaryQuestion) serve(ctx context.Context, w *canaryAnswer, d *canaryDocument) (err error) {
	defer func() {
		switch recover() {
		case nil, http.ErrAbortHandler:
		default:
			err = errors.New("the handler panicked") // its words may hold anything
		}
	}()
	r := &http.Request{
		Method: q.method, URL: &url.URL{Path: q.path}, RequestURI: q.path, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header), Body: http.NoBody, Host: "canary.invalid",
		RemoteAddr: "@", // as over a Unix socket: nobody's network
	}
	r = r.WithContext(context.WithValue(ctx, canaryKey{}, true))
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, new(caddyhttp.Server))
	body := d.root.append(nil)
	return q.h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "application/json")
		for _, v := range d.values {
			if v.steps == nil {
				w.Header().Add(v.header[0], v.header[1])
			}
		}
		_, err := w.Write(body)
		return err
	}))
}

// canaryAnswer is what a client would have got.
type canaryAnswer struct {
	header http.Header
	status int
	body   []byte
}

func (a *canaryAnswer) Header() http.Header { return a.header }

func (a *canaryAnswer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
}

func (a *canaryAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.body = append(a.body, p...)
	return len(p), nil
}

// judged reports whether the handler got as far as judging. It did, too, where it refused everything, such as under load.
func (a *canaryAnswer) judged() bool {
	switch a.status {
	case 0, http.StatusBadRequest, http.StatusUnauthorized:
		return false
	}
	return a.status < 500 || a.header.Get("Content-Type") == "application/problem+json"
}

// text is all of it, as it stands and with what JSON escapes in plain.
func (a *canaryAnswer) text() []byte {
	var b bytes.Buffer
	_ = a.header.Write(&b)
	b.Write(a.body)
	if bytes.IndexByte(a.body, '\\') < 0 {
		return b.Bytes()
	}
	decoder := json.NewDecoder(bytes.NewReader(a.body))
	for {
		token, err := decoder.Token()
		if err != nil {
			return b.Bytes()
		}
		if text, ok := token.(string); ok {
			b.WriteString(" " + text)
		}
	}
}

// leaks are the values of a document that an answer shows. A time that came between is no leak: the rules are asked again.
func (q *canaryQuestion) leaks(d *canaryDocument, a *canaryAnswer) (leaks []*canaryValue) {
	text := a.text()
	words := make(map[string]bool) // the record's own
	for i, part := range bytes.Split(text, []byte(q.record.token)) {
		if i > 0 && len(part) >= 4 {
			words[q.record.token+string(part[:4])] = true
		}
	}
	for _, v := range d.values {
		if strings.HasPrefix(v.marker, q.record.token) && !words[v.marker] || !bytes.Contains(text, []byte(v.marker)) {
			continue
		}
		if id := q.record.rules.ID(v.category.Name); !slices.ContainsFunc(q.h.givenToAnonymous(q.record.scope), func(t *rules.Table) bool { return v.given(t.Decide(id)) }) {
			leaks = append(leaks, v)
		}
	}
	return leaks
}
