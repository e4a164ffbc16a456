package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// issuer signs tokens of callers; its public key lies in a file that a Caddyfile names.
type issuer struct {
	signer jose.Signer
	public string
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := filepath.Join(t.TempDir(), "issuer.pem")
	if err := os.WriteFile(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &issuer{signer, public}
}

// bearer is the header of a caller with these claims.
func (i *issuer) bearer(t *testing.T, id, role, purpose, country string) http.Header {
	t.Helper()
	token := i.token(t, map[string]any{"sub": id, "role": role, "purpose": purpose, "country": country})
	return http.Header{"Authorization": {"Bearer " + token}}
}

// token says who asks, for an hour.
func (i *issuer) token(t testing.TB, claims map[string]any) string {
	t.Helper()
	standard := jwt.Claims{
		Issuer:   "https://id.example.com",
		Audience: jwt.Audience{"shop"},
		Expiry:   jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}
	token, err := jwt.Signed(i.signer).Claims(standard).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}
