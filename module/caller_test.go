package minimize

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// TestTrustedHeaders: a header counts from the listed peers only, once, and is deleted from all others (threats E7, G1).
func TestTrustedHeaders(t *testing.T) {
	b := newBackend(t, says(jsonHead, someOrder))
	site := func(trust string) string {
		return asks("role {header.X-Role}\ntrust " + trust + "\npurpose after_sales")
	}
	g := start(t, b.addr, "", site("127.0.0.0/8"))
	if a := g.get("/api/orders", "X-Role: support"); a.body != supportSees || !strings.Contains(strings.Join(a.header["Vary"], ","), "X-Role") {
		t.Errorf("from the trusted peer: got %+v", a)
	}
	if a := g.get("/api/orders", "X-Role: user", "X-Role: support"); a.body != anonymousSees {
		t.Errorf("sent twice: got %+v", a)
	}
	if b.last().Header.Get("X-Role") == "" {
		t.Error("the trusted peer's header did not reach the upstream")
	}
	g = start(t, b.addr, "", site("192.0.2.0/24"))
	if a := g.get("/api/orders", "X-Role: support", "X-Forwarded-For: 192.0.2.1"); a.body != anonymousSees {
		t.Errorf("from another peer: got %+v", a)
	}
	if got := b.last().Header.Get("X-Role"); got != "" {
		t.Errorf("another peer's header reached the upstream: %q", got)
	}
}

// TestPurposeWithinBounds: a client chooses among the purposes that it may claim (threat G9).
func TestPurposeWithinBounds(t *testing.T) {
	b := newBackend(t, says(jsonHead, someOrder))
	g := start(t, b.addr, "", asks("role support\npurpose {header.Purpose} of after_sales"))
	for purpose, want := range map[string]string{"after_sales": supportSees, "fraud": anonymousSees, "": anonymousSees} {
		a := g.get("/api/orders", "Purpose: "+purpose)
		if a.body != want {
			t.Errorf("purpose %q: got %s, want %s", purpose, a.body, want)
		}
		if got := strings.Join(a.header["Vary"], ","); got != "Purpose" {
			t.Errorf("Vary is %q", got)
		}
	}
}

// TestCaddyAuthentication: {http.auth.user.…} of Caddy's own basic_auth.
func TestCaddyAuthentication(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("pw"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	b := newBackend(t, says(jsonHead, strings.Replace(someOrder, `"u1"`, `"support"`, 1)))
	g := start(t, b.addr, "", "basic_auth {\nsupport "+string(hash)+"\nguest "+string(hash)+"\n}\n"+
		asks("role {http.auth.user.id}\npurpose after_sales"))
	for user, want := range map[string]string{"support": supportSees, "guest": anonymousSees} {
		req, err := http.NewRequest("GET", g.url+"/api/orders", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(user, "pw")
		a := g.get("/api/orders", "Authorization: "+req.Header.Get("Authorization"))
		if got := strings.Replace(a.body, `"support"`, `"u1"`, 1); got != want {
			t.Errorf("%s: got %s, want %s", user, got, want)
		}
	}
	if a := g.get("/api/orders"); a.status != 401 {
		t.Errorf("without a password: got %d", a.status)
	}
}

// TestSelf: a caller sees its own records; a subject that the route names needs an authenticated caller.
func TestSelf(t *testing.T) {
	i := newIssuer(t)
	g := prepare(t)
	g.write("issuer.pem", i.pem())
	b := newBackend(t, says(jsonHead, `{"orders":[{"buyer":"u1","phone":"13800138000"},{"buyer":"u2","phone":"13900139000"}],"extra":{"phone":"13800138000"}}`))
	g.write("rules/shop.yaml", strings.Replace(shopRules, "fields:", "fields:\n  - {at: /extra/phone, is: contact.phone}", 1))
	site := strings.Replace(i.site("key issuer.pem"), "caller {", "subject {path.1}\ncaller {", 1)
	if err := g.load(b.addr, "", strings.Replace(site, "role {claim.role}\n", "", 1)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ path, sub, want string }{
		{"/api/u1", "u1", `{"orders":[{"buyer":"u1","phone":"13800138000"},{"buyer":"u2"}],"extra":{"phone":"13800138000"}}`},
		{"/api/u2", "u1", `{"orders":[{"buyer":"u1","phone":"13800138000"},{"buyer":"u2"}],"extra":{}}`},
		{"/api/u1", "u3", `{"orders":[{"buyer":"u1"},{"buyer":"u2"}],"extra":{}}`},
		{"/api/u1", "", `{"orders":[{"buyer":"u1"},{"buyer":"u2"}],"extra":{}}`},
	} {
		var headers []string
		if test.sub != "" {
			headers = []string{"Authorization: Bearer " + i.mint(map[string]any{"sub": test.sub})}
		}
		if a := g.get(test.path, headers...); a.body != test.want {
			t.Errorf("%s as %q: got %s, want %s", test.path, test.sub, a.body, test.want)
		}
	}
}

// TestClientCertificates: a certificate counts once its chain is verified, not when the client merely shows one.
func TestClientCertificates(t *testing.T) {
	ca, caKey := newCertificate(t, "ca", nil, nil)
	good, goodKey := newCertificate(t, "support", ca, caKey)
	forged, forgedKey := newCertificate(t, "support", nil, nil)
	server, serverKey := newCertificate(t, "localhost", ca, caKey)
	for _, test := range []struct {
		mode string
		cert *x509.Certificate
		key  *ecdsa.PrivateKey
		want string
	}{
		{"require_and_verify", good, goodKey, supportSees},
		{"verify_if_given", good, goodKey, supportSees},
		{"verify_if_given", nil, nil, anonymousSees},
		{"request", forged, forgedKey, anonymousSees},
	} {
		t.Run(test.mode, func(t *testing.T) {
			g := prepare(t)
			g.url = strings.Replace(g.url, "http://127.0.0.1", "https://localhost", 1)
			g.write("ca.pem", certificatePEM(ca))
			g.write("server.pem", certificatePEM(server))
			g.write("server.key", keyPEM(t, serverKey))
			config := &tls.Config{ServerName: "localhost", RootCAs: x509.NewCertPool()}
			config.RootCAs.AddCert(ca)
			if test.cert != nil {
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					return &tls.Certificate{Certificate: [][]byte{test.cert.Raw}, PrivateKey: test.key}, nil
				}
			}
			g.client = &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
			trust := "\ntrust_pool file {dir}/ca.pem"
			if test.mode == "request" {
				trust = ""
			}
			err := g.load(newBackend(t, says(jsonHead, someOrder)).addr, "", "tls {dir}/server.pem {dir}/server.key {\nclient_auth {\nmode "+test.mode+trust+"\n}\n}\n"+
				asks("id {http.request.tls.client.subject}\nrole {http.request.tls.client.san.dns_names.0}\npurpose after_sales"))
			if err != nil {
				t.Fatal(err)
			}
			if a := g.get("/api/orders"); a.body != test.want {
				t.Errorf("got %+v, want %s", a, test.want)
			}
		})
	}
}

func certificatePEM(cert *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
}

func keyPEM(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func newCertificate(t *testing.T, name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true, IsCA: parent == nil,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// TestClaims: names with dots, nested objects, lists, exact numbers.
func TestClaims(t *testing.T) {
	var claims map[string]any
	d := json.NewDecoder(strings.NewReader(`{"a":{"b":{"c":"deep"}},"https://x.example/role":"uri","n":12345678901234567890,
		"t":true,"l":["x",1,["y"],{"z":1},null,""],"o":{},"null":null}`))
	d.UseNumber()
	if err := d.Decode(&claims); err != nil {
		t.Fatal(err)
	}
	who := &identity{claims: claims}
	for name, want := range map[string]string{
		"a.b.c": "deep", "https://x.example/role": "uri", "n": "12345678901234567890", "t": "true", "l": "x,1", "o": "", "null": "", "none": "",
		"a.b": "",
	} {
		if got := strings.Join(who.values(part{source: sourceClaim, name: name}), ","); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	flat := flatten(map[string]any{"mfa": true, "a": map[string]any{"b": json.Number("3")}, "l": []any{"x"}, "null": nil, "empty": ""})
	if flat["mfa"] != "true" || flat["a.b"] != "3" || len(flat) != 3 {
		t.Errorf("got %v", flat)
	}
	for range 20 { // maps are walked in any order
		flat := flatten(map[string]any{"a.b": 1, "a": map[string]any{"b": 2, "c.d": 3, "c": map[string]any{"d": []any{4}}}, "a.c.d": 5, "e": 6})
		if flat["e"] != "6" || len(flat) != 1 {
			t.Fatalf("a name with two meanings has one: %v", flat)
		}
	}
}
