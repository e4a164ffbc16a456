package cmd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// demoCaller is somebody who asks the demo's gateway.
type demoCaller struct {
	Name   string
	Who    string
	claims map[string]any // nil: has no token
	header string         // the file that holds its Authorization header, for curl; "" without a token
	token  string
}

// demoCallers are six who ask for the same orders. The first one is the buyer of the order that the table shows.
func demoCallers() []*demoCaller {
	return []*demoCaller{
		{Name: "customer", Who: "Li Na (c-1001) looks at her own orders", claims: map[string]any{"sub": "c-1001", "role": "customer", "purpose": "own_orders", "country": "CN"}},
		{Name: "support", Who: "answers a question about an order", claims: map[string]any{"sub": "s-17", "role": "support", "purpose": "after_sales", "country": "CN"}},
		{Name: "courier", Who: "delivers the parcels", claims: map[string]any{"sub": "k-4", "role": "courier", "purpose": "delivery", "country": "CN"}},
		{Name: "fraud", Who: "compares devices and cards", claims: map[string]any{"sub": "f-2", "role": "fraud", "purpose": "anti_fraud", "country": "CN"}},
		{Name: "marketing", Who: "writes to buyers who agreed", claims: map[string]any{"sub": "m-3", "role": "marketing", "purpose": "advertising", "country": "CN"}},
		{Name: "anonymous", Who: "has no token"},
	}
}

// mintTokens makes a key that lives as long as the demo, writes its public half where the Caddyfile says, and signs a
// token for each caller. A caller's token lies in a file, because curl reads headers from files and a command line with
// a token in it is as long as a page.
func mintTokens(dir string, callers []*demoCaller) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making a key: %w", err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return fmt.Errorf("encoding the public key: %w", err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	if err := os.WriteFile(filepath.Join(dir, "issuer.pem"), public, 0o600); err != nil {
		return err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return fmt.Errorf("preparing to sign: %w", err)
	}
	for _, c := range callers {
		if c.claims == nil {
			continue
		}
		standard := jwt.Claims{
			Issuer:   "https://id.shop.example",
			Audience: jwt.Audience{"shop"},
			Expiry:   jwt.NewNumericDate(time.Now().Add(12 * time.Hour)),
		}
		if c.token, err = jwt.Signed(signer).Claims(standard).Claims(c.claims).Serialize(); err != nil {
			return fmt.Errorf("signing a token: %w", err)
		}
		c.header = filepath.Join(dir, c.Name)
		if err := os.WriteFile(c.header, []byte("Authorization: Bearer "+c.token+"\n"), 0o600); err != nil {
			return err
		}
	}
	return nil
}
