package cmd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"go.yaml.in/yaml/v4"

	"github.com/caddy-minimize/minimize/module/consentstore"
	"github.com/caddy-minimize/minimize/module/rulefile"
	"github.com/caddy-minimize/minimize/rules"
)

// gatewayFiles are a suite's rules as a gateway has them: every recipient is reached at the recorder, and every date is moved,
// so that today stands to it as the fixture's time stood to the one that is written.
type gatewayFiles struct {
	suite    *suite
	dir      string
	moved    time.Duration
	rules    *rules.Ruleset
	signer   jose.Signer
	recorder *recorder
	options  string // of each route
}

func newGatewayFiles(t *testing.T, s *suite, days int) *gatewayFiles {
	t.Helper()
	g := &gatewayFiles{suite: s, dir: t.TempDir(), moved: time.Duration(days) * 24 * time.Hour, recorder: newRecorder(t)}
	g.write(t, "keys/test", testKeys["test"])
	g.write(t, "ca.pem", g.recorder.certificate)
	keys, err := rules.NewKeyRing(testKeys)
	if err != nil {
		t.Fatal(err)
	}
	var docs []*rules.Document
	for _, file := range s.files {
		data, err := rulefile.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		data = g.rewritten(t, data)
		name := "rules/" + strings.TrimPrefix(strings.TrimSuffix(filepath.Base(file), ".yaml"), "pack:") + ".yaml"
		g.write(t, name, data)
		doc, err := rulefile.Parse(name, data)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, doc)
	}
	if g.rules, err = rules.Compile(docs, rules.Options{Keys: keys}); err != nil {
		t.Fatal(err)
	}
	g.newSigner(t)
	return g
}

func (g *gatewayFiles) write(t *testing.T, name string, data []byte) {
	t.Helper()
	file := filepath.Join(g.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// rewritten is a rule document whose recipients are all the recorder.
func (g *gatewayFiles) rewritten(t *testing.T, data []byte) []byte {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	for _, entry := range members(member(doc.Content[0], "recipients")) {
		host := "https://" + g.recorder.secure
		if hosts := member(entry, "hosts"); hosts != nil && strings.HasPrefix(hosts.Content[0].Value, "http://") {
			host = "http://" + g.recorder.plain
		}
		entry.Content = append(without(entry.Content, "hosts"),
			&yaml.Node{Kind: yaml.ScalarNode, Value: "hosts"}, &yaml.Node{Kind: yaml.ScalarNode, Value: host})
		g.move(t, member(entry, "suspended"))
		for _, period := range []string{"contract", "transfer"} {
			g.move(t, member(member(entry, period), "from"))
			g.move(t, member(member(entry, period), "until"))
		}
	}
	rewritten, err := yaml.Marshal(&doc)
	if err != nil {
		t.Fatal(err)
	}
	return rewritten
}

// move moves a date.
func (g *gatewayFiles) move(t *testing.T, n *yaml.Node) {
	t.Helper()
	if n == nil {
		return
	}
	var written day
	if err := written.UnmarshalYAML(n); err != nil {
		t.Fatal(err)
	}
	form := time.RFC3339
	if written.whole {
		form = time.DateOnly
	}
	n.Value = written.Add(g.moved).Format(form)
}

func member(n *yaml.Node, name string) *yaml.Node {
	for i := 0; n != nil && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

func members(n *yaml.Node) (values []*yaml.Node) {
	for i := 0; n != nil && i+1 < len(n.Content); i += 2 {
		values = append(values, n.Content[i+1])
	}
	return values
}

func without(content []*yaml.Node, name string) (rest []*yaml.Node) {
	for i := 0; i+1 < len(content); i += 2 {
		if content[i].Value != name {
			rest = append(rest, content[i], content[i+1])
		}
	}
	return rest
}

// crossing is a fixture as the gateway will see it: now, and with a caller who may say whose data it is.
func (g *gatewayFiles) crossing(f *fixture) *crossing {
	own, s := *f, *g.suite
	s.rules = g.rules
	c := &crossing{fixture: &own, suite: &s, files: g}
	own.disclosure.Time = time.Now()
	if m, ok := f.disclosure.People.(*memory); ok {
		c.known = m.moved(g.moved)
		own.disclosure.People = c.known
	}
	if f.Subject != "" && own.disclosure.Caller.ID == "" {
		own.disclosure.Caller.ID = "service"
	}
	return c
}

// takes reports whether what a crossing needs to be known does not contradict what is known already.
func (w *ward) takes(c *crossing) bool {
	if (w.people == nil) != (c.known == nil) || w.alone || c.Seen > 0 {
		return false
	}
	if c.known == nil {
		return true
	}
	for id, p := range c.known.people {
		if other := w.people.people[id]; other != nil && !reflect.DeepEqual(other, p) {
			return false
		}
	}
	for id, p := range c.known.cases {
		if other := w.people.cases[id]; other != nil && !reflect.DeepEqual(other, p) {
			return false
		}
	}
	return true
}

func (w *ward) add(c *crossing) {
	w.crossings = append(w.crossings, c)
	w.alone = w.alone || c.Seen > 0
	if c.known == nil {
		return
	}
	if w.people == nil {
		w.people = &memory{people: map[string]*rules.Person{}, cases: map[string]*rules.Case{}, seen: c.known.seen}
	}
	maps.Copy(w.people.people, c.known.people)
	maps.Copy(w.people.cases, c.known.cases)
}

// start runs a gateway with the sites that the crossings need, and returns its address.
func (w *ward) start(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	store := ""
	if w.people != nil {
		store = "consent sqlite " + w.fill(t)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "{\nadmin off\npersist_config off\nstorage file_system %s/caddy\nauto_https off\ngrace_period 1s\nlog default {\noutput discard\n}\nminimize {\nrules rules/*.yaml\nkeys keys\n%s\n}\n}\n", w.dir, store)
	hosts := map[string]string{} // by what is in the site
	for _, c := range w.crossings {
		site := w.site(c)
		if c.host = hosts[site]; c.host != "" {
			continue
		}
		c.host = fmt.Sprintf("s%d.test", len(hosts))
		hosts[site] = c.host
		fmt.Fprintf(&text, "http://%s:%s {\nbind 127.0.0.1\n%s}\n", c.host, address[strings.LastIndexByte(address, ':')+1:], site)
	}
	config, err := adapt(filepath.Join(w.dir, "Caddyfile"), text.String())
	if err != nil {
		t.Fatalf("adapting: %v\n%s", err, text.String())
	}
	if err := caddy.Load(config, true); err != nil {
		t.Fatalf("starting: %v", err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return address
}

func adapt(file, text string) ([]byte, error) {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": file})
	return config, err
}

// site is the route of one crossing. The caller is who a token says; the purpose is the route's.
func (w *ward) site(c *crossing) string {
	options := "caller {\njwt issuer https://id.example.com audience fixtures key " + w.dir + "/issuer.pem\nid {claim.sub}\nrole {claim.role}\n" +
		"organisation {claim.organisation}\ncountry {claim.country}\nguardian {claim.guardian}\ncase {claim.case}\npurpose " + c.Purpose + "\n}\n" + w.options
	if c.Direction == "inbound" && c.Recipient == "" {
		if c.Subject != "" {
			options += "subject {claim.subject}\n"
		}
		return "minimize {\ninbound\n" + options + "}\nreverse_proxy " + w.recorder.plain + "\n"
	}
	if c.Subject != "" {
		options += "subject {header.X-Subject}\n"
	}
	return "minimize_egress " + c.Recipient + " {\n" + options + "transport http {\ntls_trust_pool file " + w.dir + "/ca.pem\n}\n}\n"
}

// fill makes a consent store of what is known.
func (w *ward) fill(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "consent.db")
	store, err := consentstore.Open(consentstore.SQLite, file)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Apply(t.Context(), w.people.batch()); err != nil {
		t.Fatal(err)
	}
	for caller, seen := range w.people.seen {
		others := make([]string, len(seen))
		for i := range others {
			others[i] = fmt.Sprintf("somebody-%d", i)
		}
		if _, err := store.Seen(t.Context(), caller, others, len(others)); err != nil && caller != "" {
			t.Fatal(err)
		}
	}
	return file
}

// batch is what a store has to be told to know the same.
func (m *memory) batch() consentstore.Batch {
	var b consentstore.Batch
	for _, id := range slices.Sorted(maps.Keys(m.people)) {
		p := m.people[id]
		profile := consentstore.Profile{Subject: id, Minor: p.Minor, Guardians: p.Guardians, Policy: p.Policy}
		if !p.Born.IsZero() {
			profile.Born = p.Born.Format(time.DateOnly)
		}
		if p.Ended {
			profile.Ended = time.Now().Add(-time.Hour)
		}
		if profile.Minor || profile.Born != "" || p.Ended || len(p.Guardians) > 0 || p.Policy > 0 {
			b.Profiles = append(b.Profiles, profile)
		}
		for _, c := range p.Consents {
			b.Entries = append(b.Entries, entriesOf(id, c)...)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(m.cases)) {
		c := m.cases[id]
		b.Cases = append(b.Cases, consentstore.Case{ID: id, Kind: c.Kind, Subject: c.Subject, Callers: c.Callers, Roles: c.Roles, Ends: c.Ends})
	}
	return b
}

func entriesOf(subject string, c rules.Consent) (entries []consentstore.Entry) {
	base := consentstore.Entry{Subject: subject, Purpose: c.Purpose, Recipient: c.Recipient}
	if c.Level > rules.LevelNone {
		e := base
		e.Event, e.Level, e.Categories, e.Policy, e.Expires, e.At, e.GivenBy = consentstore.Give, c.Level.String(), c.Categories, c.Policy, c.Expires, c.Given, "self"
		if c.ByGuardian {
			e.GivenBy = "guardian"
		}
		entries = append(entries, e)
	}
	for event, at := range map[consentstore.Event]time.Time{
		consentstore.Withdraw: c.Withdrawn, consentstore.Object: c.Objected, consentstore.Restrict: c.Restricted,
	} {
		if e := base; !at.IsZero() {
			e.Event, e.At = event, at
			entries = append(entries, e)
		}
	}
	return entries
}

func (g *gatewayFiles) newSigner(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if g.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil); err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	g.write(t, "issuer.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// token says who the caller of a fixture is; "" is nobody.
func (g *gatewayFiles) token(t *testing.T, f *fixture) string {
	t.Helper()
	who := &f.disclosure.Caller
	claims := map[string]any{}
	for name, value := range who.Claims {
		claims[name] = value
	}
	for name, value := range map[string]string{
		"sub": who.ID, "organisation": who.Organisation, "country": who.Country, "case": who.CaseID, "subject": f.Subject,
	} {
		if value != "" {
			claims[name] = value
		}
	}
	for name, values := range map[string][]string{"role": who.Roles, "guardian": who.Guardian} {
		if len(values) > 0 {
			claims[name] = values
		}
	}
	if len(claims) == 0 {
		return ""
	}
	standard := jwt.Claims{Issuer: "https://id.example.com", Audience: jwt.Audience{"fixtures"}, Expiry: jwt.NewNumericDate(time.Now().Add(time.Hour))}
	token, err := jwt.Signed(g.signer).Claims(standard).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}
