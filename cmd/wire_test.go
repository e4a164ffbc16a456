package cmd

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	minimize "github.com/caddy-minimize/minimize/module"
	"github.com/caddy-minimize/minimize/rules"
)

// crossing is a fixture on its way over the wire: through a real gateway, to a server that keeps every byte.
type crossing struct {
	*fixture
	suite *suite // with the rules as the gateway has them
	files *gatewayFiles
	known *memory
	host  string // of its site
}

// TestWire sends every fixture of a request, and of a recipient's answer, through a gateway. Exactly what the fixture says
// arrives, or nothing at all, and the caller gets its status and reason.
func TestWire(t *testing.T) {
	for _, dir := range []string{"testdata/wire", "../test/scenarios"} {
		suites, err := loadSuites([]string{dir})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range suites {
			for _, ward := range wardsOf(t, s) {
				ward.run(t)
			}
		}
	}
}

// ward is what one gateway can carry: fixtures of the same rules, as of the same day, whose people do not contradict each other.
type ward struct {
	*gatewayFiles
	crossings []*crossing
	people    *memory // nil: there is no store
	alone     bool    // it counts data subjects
}

func wardsOf(t *testing.T, s *suite) []*ward {
	t.Helper()
	var wards []*ward
	files := map[int]*gatewayFiles{} // by the days that dates are moved
	for _, f := range s.fixtures {
		if f.Direction != "egress" && f.Direction != "inbound" {
			continue
		}
		days := daysSince(f)
		if files[days] == nil {
			files[days] = newGatewayFiles(t, s, days)
		}
		c := files[days].crossing(f)
		if !s.run(f).Passed {
			t.Errorf("%s:%d: %s fails", s.file, f.pos.Line, f.Name)
			continue
		}
		switch {
		case f.Recipient != "" && c.suite.rules.Recipient(f.Recipient) == nil:
			t.Logf("not on the wire: %s: a route to nobody registered does not load", f.Name)
			continue
		case !c.suite.run(c.fixture).Passed:
			t.Logf("not on the wire: %s: it turns on more dates than those that can be moved", f.Name)
			continue
		}
		i := slices.IndexFunc(wards, func(w *ward) bool { return w.gatewayFiles == files[days] && w.takes(c) })
		if i < 0 {
			i = len(wards)
			wards = append(wards, &ward{gatewayFiles: files[days]})
		}
		wards[i].add(c)
	}
	return wards
}

// daysSince is how many days are between a fixture's time and now, so that the time comes to be today, and not later than now.
func daysSince(f *fixture) int { return int(math.Floor(time.Since(f.disclosure.Time).Hours() / 24)) }

// run starts the gateway, and sends each fixture's message.
func (w *ward) run(t *testing.T) {
	gateway := w.start(t)
	for _, c := range w.crossings {
		t.Run(c.Name, func(t *testing.T) {
			c.cross(t, gateway, w.recorder)
		})
	}
}

func (c *crossing) cross(t *testing.T, gateway string, r *recorder) {
	before := r.received()
	r.answer("application/json", []byte("{}"))
	answers := c.Direction == "inbound" && c.Recipient != ""
	if answers {
		r.answer(c.mediaType, c.body)
	}
	status, header, body := c.send(t, gateway)
	sent := r.received()[len(before):]
	if c.Expect.Refused != "" {
		c.wantRefusal(t, status, body)
		if len(sent) > 0 && !answers {
			t.Errorf("%d bytes were sent of a message that is refused: %s", len(sent), sent)
		}
		return
	}
	if status != http.StatusOK {
		t.Fatalf("the caller got %d %s", status, body)
	}
	got := &minimize.Sample{Header: header, Body: body}
	raw := string(body)
	if !answers {
		got, raw = sentSample(t, sent), sent
	}
	c.wantNothingElse(t, raw)
	for name := range got.Header { // a proxy has headers of its own
		if c.sample.Header[name] == nil {
			delete(got.Header, name)
		}
	}
	if c.Direction == "inbound" {
		c.parts = slices.DeleteFunc(slices.Clone(c.parts), func(p part) bool { return p.name == "path" })
	}
	result := new(result)
	result.compareMessage(c.fixture, got)
	for _, d := range result.Differences {
		t.Errorf("%s\nwant %s\ngot  %s", d.place(), d.Want, d.Got)
	}
}

// send sends the message as its caller.
func (c *crossing) send(t *testing.T, gateway string) (status int, header http.Header, body []byte) {
	t.Helper()
	method := strings.Replace(c.operation.Method, "*", http.MethodPost, 1)
	target := "http://" + gateway + (&url.URL{Path: c.operation.Path, RawQuery: c.sample.Query}).RequestURI()
	sends := c.body
	if c.Direction == "inbound" && c.Recipient != "" {
		sends = nil
	}
	req, err := http.NewRequest(method, target, bytes.NewReader(sends))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = c.host
	if sends != nil {
		req.Header = c.sample.Header.Clone()
	}
	if token := c.files.token(t, c.fixture); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if c.Subject != "" {
		req.Header.Set("X-Subject", c.Subject)
	}
	if c.GPC {
		req.Header.Set("Sec-GPC", "1")
	}
	res, err := wireClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err = io.ReadAll(res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, body
}

var wireClient = &http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: 20 * time.Second}

// refusedWith is the status of a refusal, where it is not 403.
var refusedWith = map[string]int{
	"authority": 451, "country": 451, "transfer": 451, "over": 429, "signed": 422, "unreadable": 502, "unavailable": 503,
}

func (c *crossing) wantRefusal(t *testing.T, status int, body []byte) {
	t.Helper()
	want := refusedWith[c.Expect.Refused]
	if want == 0 {
		want = http.StatusForbidden
	}
	var problem struct{ Reason, Rule string }
	if err := json.Unmarshal(body, &problem); err != nil || status != want || problem.Reason != c.Expect.Refused || c.Expect.Rule != "" && problem.Rule != c.Expect.Rule {
		t.Errorf("the caller got %d %s; want %d, reason %s, rule %s", status, body, want, c.Expect.Refused, c.Expect.Rule)
	}
	for _, text := range c.leaves() {
		if strings.Contains(string(body), text) {
			t.Errorf("the refusal tells %q", text)
		}
	}
}

// wantNothingElse looks for what should not be there, in every byte.
func (c *crossing) wantNothingElse(t *testing.T, raw string) {
	t.Helper()
	expected := ""
	if c.want != nil {
		expected = c.want.String()
	}
	for _, p := range c.parts {
		expected += p.want.String()
	}
	plain, _ := url.QueryUnescape(raw)
	for _, text := range c.leaves() {
		if !strings.Contains(expected, text) && (strings.Contains(raw, text) || strings.Contains(plain, text)) {
			t.Errorf("%q is in what arrived: %s", text, raw)
		}
	}
}

// leaves are the texts and numbers of the message that are long enough to be found by no accident.
func (c *crossing) leaves() []string {
	var found []string
	var walk func(*tree)
	walk = func(n *tree) {
		if len(n.text) > 5 {
			found = append(found, n.text)
		}
		for _, item := range n.items {
			walk(item)
		}
	}
	if body, err := bodyTree(c.body, c.mediaType); err == nil {
		walk(body)
	}
	if query, err := parsePairs(c.sample.Query); err == nil {
		walk(query)
	}
	for name, values := range c.sample.Header {
		if name != "Content-Type" {
			found = append(found, values...)
		}
	}
	return found
}

// TestWirePastHold: of a body that is longer than the hold the recipient gets a part without an end, and the caller still its
// status.
func TestWirePastHold(t *testing.T) {
	suites, err := loadSuites([]string{"testdata/wire"})
	if err != nil {
		t.Fatal(err)
	}
	files := newGatewayFiles(t, suites[0], daysSince(suites[0].fixtures[0]))
	files.options = "hold 16KiB\n"
	i := slices.IndexFunc(suites[0].fixtures, func(f *fixture) bool { return f.Name == "nobody abroad" })
	f := *suites[0].fixtures[i]
	f.body = []byte(`{"pad":[` + strings.Repeat(`"aaaaaaaa",`, 20_000) + `0],"ip":"114.80.166.240"}`)
	w := &ward{gatewayFiles: files}
	w.add(files.crossing(&f))
	gateway := w.start(t)
	status, _, body := w.crossings[0].send(t, gateway)
	w.crossings[0].wantRefusal(t, status, body)
	sent := w.recorder.received()
	if !strings.Contains(sent, "aaaaaaaa") || strings.Contains(sent, "114.80.166") || strings.HasSuffix(sent, "0\r\n\r\n") {
		t.Errorf("the recipient received %d bytes, the last %q", len(sent), sent[max(0, len(sent)-20):])
	}
}

// moved is a copy of what is known, with every time moved.
func (m *memory) moved(d time.Duration) *memory {
	move := func(t time.Time) time.Time {
		if t.IsZero() {
			return t
		}
		return t.Add(d)
	}
	moved := &memory{people: map[string]*rules.Person{}, cases: map[string]*rules.Case{}, seen: map[string][]string{}}
	for caller, seen := range m.seen {
		moved.seen[caller] = slices.Clone(seen)
	}
	for id, c := range m.cases {
		own := *c
		own.Ends = move(c.Ends)
		moved.cases[id] = &own
	}
	for id, p := range m.people {
		own := moved.person(id)
		own.Born, own.Minor, own.Ended, own.Guardians, own.Policy = p.Born, p.Minor, p.Ended, p.Guardians, p.Policy
		for _, c := range p.Consents {
			c.Given, c.Expires, c.Withdrawn, c.Objected, c.Restricted = move(c.Given), move(c.Expires), move(c.Withdrawn), move(c.Objected), move(c.Restricted)
			own.Consents = append(own.Consents, c)
		}
		for _, c := range p.Cases {
			c.Ends = move(c.Ends)
			own.Cases = append(own.Cases, c)
		}
	}
	return moved
}
