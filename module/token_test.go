package minimize

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// issuer mints tokens and serves its keys.
type issuer struct {
	t       *testing.T
	key     *ecdsa.PrivateKey
	id      string
	server  *httptest.Server
	fetched atomic.Int32
	down    atomic.Bool
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{t: t, key: key, id: "k1"}
	i.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case i.down.Load():
			w.WriteHeader(http.StatusInternalServerError)
		case r.URL.Path == "/.well-known/openid-configuration":
			json.NewEncoder(w).Encode(map[string]string{"issuer": i.server.URL, "jwks_uri": i.server.URL + "/keys"})
		default:
			i.fetched.Add(1)
			w.Write(i.keySet())
		}
	}))
	t.Cleanup(i.server.Close)
	return i
}

func (i *issuer) keySet() []byte {
	i.t.Helper()
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: i.id, Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		i.t.Fatal(err)
	}
	// A key that nobody can read, as providers have them, must not spoil the others.
	return []byte(strings.Replace(string(set), `[`, `[{"kty":"OKP","crv":"X448","x":"AA"},`, 1))
}

func (i *issuer) pem() string {
	i.t.Helper()
	der, err := x509.MarshalPKIXPublicKey(i.key.Public())
	if err != nil {
		i.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// mint signs the usual claims, changed as said; nil takes a claim away.
func (i *issuer) mint(changes map[string]any) string {
	i.t.Helper()
	return i.sign(jose.SigningKey{Algorithm: jose.ES256, Key: i.key}, i.claims(changes))
}

func (i *issuer) claims(changes map[string]any) map[string]any {
	claims := map[string]any{
		"iss": i.server.URL, "aud": "shop", "sub": "agent", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
		"role": "support",
	}
	for name, value := range changes {
		claims[name] = value
		if value == nil {
			delete(claims, name)
		}
	}
	return claims
}

func (i *issuer) sign(key jose.SigningKey, claims map[string]any) string {
	i.t.Helper()
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", i.id))
	if err != nil {
		i.t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		i.t.Fatal(err)
	}
	return token
}

const tokenSite = `minimize {
	caller {
		jwt issuer {issuer} audience shop {keys}
		id {claim.sub}
		role {claim.role}
		purpose after_sales
	}
}
reverse_proxy {upstream}`

func (i *issuer) site(keys string) string {
	return strings.NewReplacer("{issuer}", i.server.URL, "{keys}", keys).Replace(tokenSite)
}

const (
	supportSees   = `{"orders":[{"buyer":"u1","phone":"138****8000","state":"paid"}]}`
	anonymousSees = `{"orders":[{"buyer":"u1","state":"paid"}]}`
)

// TestR13Tokens: no token is anonymous; one that is expired, forged or meant for others is 401 and never passed through
// (threat G2).
func TestR13Tokens(t *testing.T) {
	i, other := newIssuer(t), newIssuer(t)
	g := prepare(t)
	g.write("issuer.pem", i.pem())
	b := newBackend(t, says(jsonHead, someOrder))
	if err := g.load(b.addr, "", i.site("key issuer.pem")); err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(i.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	good := i.mint(nil)
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
	past, soon := time.Now().Add(-time.Hour).Unix(), time.Now().Add(time.Hour).Unix()
	for _, test := range []struct {
		name, header, want string // want "": 401
	}{
		{"no token", "", anonymousSees},
		{"other scheme", "Basic dTpw", anonymousSees},
		{"good", "Bearer " + good, supportSees},
		{"lower case", "bearer " + good, supportSees},
		{"no role", "Bearer " + i.mint(map[string]any{"role": nil}), anonymousSees},
		{"role that nobody knows", "Bearer " + i.mint(map[string]any{"role": "boss"}), anonymousSees},
		{"empty role", "Bearer " + i.mint(map[string]any{"role": ""}), anonymousSees},
		{"role list", "Bearer " + i.mint(map[string]any{"role": []string{"boss", "support"}}), supportSees},
		{"role object", "Bearer " + i.mint(map[string]any{"role": map[string]string{"support": "support"}}), anonymousSees},
		{"audience list", "Bearer " + i.mint(map[string]any{"aud": []string{"desk", "shop"}}), supportSees},
		{"expired", "Bearer " + i.mint(map[string]any{"exp": past}), ""},
		{"without expiry", "Bearer " + i.mint(map[string]any{"exp": nil}), ""},
		{"not yet valid", "Bearer " + i.mint(map[string]any{"nbf": soon}), ""},
		{"issued in the future", "Bearer " + i.mint(map[string]any{"iat": soon}), ""},
		{"other audience", "Bearer " + i.mint(map[string]any{"aud": "desk"}), ""},
		{"without audience", "Bearer " + i.mint(map[string]any{"aud": nil}), ""},
		{"other issuer", "Bearer " + i.mint(map[string]any{"iss": other.server.URL}), ""},
		{"without issuer", "Bearer " + i.mint(map[string]any{"iss": nil}), ""},
		{"forged", "Bearer " + other.sign(jose.SigningKey{Algorithm: jose.ES256, Key: other.key}, i.claims(nil)), ""},
		{"changed", "Bearer " + parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"role":"finance"}`)) + "." + parts[2], ""},
		{"cut", "Bearer " + good[:len(good)-5], ""},
		{"alg none", "Bearer " + none, ""},
		{"public key as a secret", "Bearer " + i.sign(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(i.pem())}, i.claims(nil)), ""},
		{"public DER as a secret", "Bearer " + i.sign(jose.SigningKey{Algorithm: jose.HS256, Key: public}, i.claims(nil)), ""},
		{"other algorithm", "Bearer " + i.sign(jose.SigningKey{Algorithm: jose.RS256, Key: rsaKey}, i.claims(nil)), ""},
		{"garbage", "Bearer x.y.z", ""},
		{"empty", "Bearer ", ""},
		{"long", "Bearer " + strings.Repeat("a", maxToken+1), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var headers []string
			if test.header != "" {
				headers = []string{"Authorization: " + test.header}
			}
			a := g.get("/api/orders", headers...)
			if test.want != "" {
				if a.status != 200 || a.body != test.want {
					t.Errorf("got %d %s, want %s", a.status, a.body, test.want)
				}
				return
			}
			if a.status != 401 || a.header.Get("Content-Type") != "application/problem+json" ||
				!strings.HasPrefix(a.header.Get("Www-Authenticate"), `Bearer error="invalid_token"`) {
				t.Errorf("got %+v, want 401 with a challenge", a)
			}
			a.hides(t, somePhone, someIMEI)
		})
	}
	if a := g.get("/api/orders", "Authorization: Bearer "+good, "Authorization: Bearer "+good); a.status != 401 {
		t.Errorf("two Authorization headers: got %d, want 401", a.status)
	}
}

// TestIssuerKeys: keys are fetched when a token first needs them, not for every forged key id, and stay while the issuer
// is down. Provisioning fetches nothing.
func TestIssuerKeys(t *testing.T) {
	fetchPause = 0
	t.Cleanup(func() { fetchPause = 10 * time.Second })
	for _, keys := range []string{"", "jwks {jwks}"} {
		i := newIssuer(t)
		i.down.Store(true)
		b := newBackend(t, says(jsonHead, someOrder))
		g := start(t, b.addr, "", i.site(strings.Replace(keys, "{jwks}", i.server.URL+"/keys", 1)))
		bearer := func() string { return "Authorization: Bearer " + i.mint(nil) }
		g.get("/api/orders", bearer()).refused(t, 503, "unavailable")
		if a := g.get("/api/orders"); a.body != anonymousSees {
			t.Errorf("without a token: got %+v", a)
		}
		i.down.Store(false)
		if a := g.get("/api/orders", bearer()); a.body != supportSees {
			t.Errorf("got %+v", a)
		}
		i.down.Store(true)
		if a := g.get("/api/orders", bearer()); a.body != supportSees {
			t.Errorf("with the issuer down: got %+v", a)
		}
		i.down.Store(false)
		i.key, i.id = newIssuer(t).key, "k2"
		if a := g.get("/api/orders", bearer()); a.body != supportSees {
			t.Errorf("after the issuer changed its key: got %+v", a)
		}
		fetchPause = 10 * time.Second
		before := i.fetched.Load()
		i.id = "forged"
		for range 20 {
			if a := g.get("/api/orders", bearer()); a.status != 401 {
				t.Fatalf("a forged key id: got %+v", a)
			}
		}
		if n := i.fetched.Load() - before; n > 1 {
			t.Errorf("20 forged key ids made %d fetches", n)
		}
		fetchPause = 0
	}
}

// TestR14IssuerDown: under load, while nobody can fetch the issuer's keys, no token is taken as good and none for no token
// at all; keys that are known stay, and what was down comes back by itself.
func TestR14IssuerDown(t *testing.T) {
	fetchPause = time.Millisecond
	t.Cleanup(func() { fetchPause = 10 * time.Second })
	i, forger := newIssuer(t), newIssuer(t)
	i.down.Store(true)
	g := start(t, newBackend(t, says(jsonHead, someOrder)).addr, "", i.site("jwks "+i.server.URL+"/keys"))
	good := "Authorization: Bearer " + i.mint(nil)
	forged := "Authorization: Bearer " + forger.sign(jose.SigningKey{Algorithm: jose.ES256, Key: forger.key}, i.claims(nil))
	// load sends many requests of each kind at once, and wants these answers: a status, or a body with status 200.
	load := func(when string, want map[string]string) {
		t.Helper()
		var workers sync.WaitGroup
		for range 10 {
			for header, want := range want {
				workers.Go(func() {
					var headers []string
					if header != "" {
						headers = []string{header}
					}
					a := g.get("/api/orders", headers...)
					if got := fmt.Sprint(a.status); a.err != nil || got != want && a.body != want {
						t.Errorf("%s: got %+v, want %s", when, a, want)
					}
				})
			}
		}
		workers.Wait()
	}
	load("never up", map[string]string{good: "503", forged: "503", "": anonymousSees})
	i.down.Store(false)
	eventually(t, func() bool { return g.get("/api/orders", good).body == supportSees })
	load("up", map[string]string{good: supportSees, forged: "401", "": anonymousSees})
	i.down.Store(true)
	i.key, i.id = forger.key, "k2"
	fresh := "Authorization: Bearer " + i.mint(nil)
	load("down again, with a new key", map[string]string{good: supportSees, fresh: "401", forged: "401", "": anonymousSees})
	i.down.Store(false)
	eventually(t, func() bool { return g.get("/api/orders", fresh).body == supportSees })
	load("with the new key", map[string]string{fresh: supportSees, "": anonymousSees})
}

// TestKeyFileReloads: a key file is watched, and a broken one leaves the last good keys.
func TestKeyFileReloads(t *testing.T) {
	fastPolls(t)
	first, second := newIssuer(t), newIssuer(t)
	second.server = first.server
	g := prepare(t)
	g.write("keys.json", string(first.keySet()))
	b := newBackend(t, says(jsonHead, someOrder))
	if err := g.load(b.addr, "", first.site("key keys.json")); err != nil {
		t.Fatal(err)
	}
	status := func(i *issuer) int { return g.get("/api/orders", "Authorization: Bearer "+i.mint(nil)).status }
	if status(first) != 200 || status(second) != 401 {
		t.Fatal("the key file does not count")
	}
	failures := counter(t, "caddy_minimize_rules_reload_failures_total")
	broken := func() bool {
		return counter(t, "caddy_minimize_rules_reload_failures_total") == failures && counter(t, "caddy_minimize_token_key_files_broken") == 1
	}
	failures++
	g.write("keys.json", "broken")
	eventually(t, broken)
	if status(first) != 200 {
		t.Error("a broken key file took the good keys away")
	}
	failures++
	if err := os.Remove(filepath.Join(g.dir, "keys.json")); err != nil {
		t.Fatal(err)
	}
	eventually(t, broken)
	if status(first) != 200 {
		t.Error("without the key file the good keys are gone")
	}
	if log := g.read("caddy.log"); strings.Count(log, "the changed key file does not load; the last good keys stay in force") != 2 {
		t.Error("the log does not tell of a broken key file, each time once")
	}
	g.write("keys.json", string(second.keySet()))
	eventually(t, func() bool { return status(second) == 200 && status(first) == 401 })
	if n := counter(t, "caddy_minimize_token_key_files_broken"); n != 0 {
		t.Errorf("the mended key file counts as broken")
	}
}

// TestKeyFileSettles: half a key file, which may look whole, takes no key away.
func TestKeyFileSettles(t *testing.T) {
	first, second := newIssuer(t), newIssuer(t)
	name := filepath.Join(t.TempDir(), "keys.pem")
	write := func(content string) {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	whole := first.pem() + second.pem()
	write(whole)
	k, err := newFileKeys(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, half := range []string{first.pem(), first.pem() + second.pem()[:100], first.pem()[:100] + second.pem(), ""} {
		write(half)
		if err := k.refresh(); err != nil || len(*k.keys.Load()) != 2 {
			t.Errorf("a file in the making counts: %d keys, error %v", len(*k.keys.Load()), err)
		}
		if half != first.pem() {
			if err := k.refresh(); err == nil || len(*k.keys.Load()) != 2 {
				t.Errorf("a file that is cut counts: %d keys, error %v", len(*k.keys.Load()), err)
			}
			if err := k.refresh(); err != nil {
				t.Error("the same error is told of twice")
			}
		}
		write(whole)
		k.refresh()
		if err := k.refresh(); err != nil || k.failed != "" {
			t.Error("the mended file is not taken")
		}
	}
}

func eventually(t *testing.T, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come about in 10 s")
		}
	}
}

type panickingTransport struct{}

// RoundTrip panics.
func (panickingTransport) RoundTrip(*http.Request) (*http.Response, error) {
	panic("with a value: " + somePhone)
}

// TestPanicInKeys: an issuer's answer that panics is one that does not come, and who waits for it waits no longer.
func TestPanicInKeys(t *testing.T) {
	core, logged := observer.New(zap.DebugLevel)
	k := newRemoteKeys("https://id.example.com", "https://id.example.com/keys", zap.New(core))
	k.client.Transport = panickingTransport{}
	if _, err := k.find(httptest.NewRequest("GET", "/", nil), "1"); !errors.Is(err, errKeysUnavailable) {
		t.Errorf("got %v", err)
	}
	if log := fmt.Sprint(logged.All()); strings.Contains(log, somePhone) || !strings.Contains(log, "panicking while an issuer's keys were fetched") {
		t.Errorf("the log is %s", log)
	}
}
