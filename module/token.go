package minimize

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"go.uber.org/zap"
)

// JWT verifies bearer tokens (RFC 6750) that are JSON Web Tokens (RFC 7519).
type JWT struct {
	// Issuer is the `iss` that tokens must have. Where neither JWKS nor Key is given, the issuer's keys are found by
	// OpenID Connect discovery.
	Issuer string `json:"issuer,omitempty"`

	// Audience are the `aud` values of which a token must have one.
	Audience []string `json:"audience,omitempty"`

	// JWKS is the URL of the issuer's key set.
	JWKS string `json:"jwks,omitempty"`

	// Key is a file with the issuer's public keys, as PEM or as a JSON Web Key Set. It is read again when it changes.
	Key string `json:"key,omitempty"`

	// Algorithms are the signature algorithms that count. Default: RS256, ES256 and EdDSA. Symmetric ones and "none" never do.
	Algorithms []string `json:"algorithms,omitempty"`
}

// algorithms are the ones that a configuration may name: signatures whose verifying key cannot sign (RFC 8725 section 3.1).
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// leeway is how far the clocks of issuer and gateway may differ.
const leeway = 30 * time.Second

// maxToken is the longest token in bytes that is looked at.
const maxToken = 16 << 10

// What is wrong with a token, in words that may stand in a header and tell nothing of it.
var (
	errTokenMalformed  = errors.New("the token is malformed or signed with an algorithm that does not count")
	errTokenSignature  = errors.New("the token's signature does not verify")
	errTokenExpired    = errors.New("the token is expired")
	errTokenEarly      = errors.New("the token is not valid yet")
	errTokenIssuer     = errors.New("the token is from another issuer")
	errTokenAudience   = errors.New("the token is for another audience")
	errTokenTwice      = errors.New("the request has more than one Authorization")
	errKeysUnavailable = errors.New("the issuer's keys cannot be fetched now, so the token cannot be checked")
)

// bearerChallenge asks for a token. Where one came that does not count it says why, and where none came it names no error
// (RFC 6750 section 3).
func bearerChallenge(denied error) string {
	if denied == nil {
		return "Bearer"
	}
	return `Bearer error="invalid_token", error_description="` + denied.Error() + `"`
}

// tokens verifies the tokens of one issuer.
type tokens struct {
	issuer     string
	audience   jwt.Audience
	algorithms []jose.SignatureAlgorithm
	keys       keySource
	verified   tokenCache
}

// keySource holds the keys of an issuer.
type keySource interface {
	// find returns the keys that may have signed a token with this key id.
	find(r *http.Request, id string) ([]jose.JSONWebKey, error)
	// generation changes with the keys.
	generation() uint64
}

func (c *JWT) provision(app *App, logger *zap.Logger) (*tokens, error) {
	t := &tokens{issuer: c.Issuer, audience: c.Audience}
	switch {
	case c.Issuer == "" || len(c.Audience) == 0:
		return nil, errors.New("issuer and audience are needed, as in `jwt issuer https://id.example.com audience shop`")
	case c.JWKS != "" && c.Key != "":
		return nil, errors.New("jwks and key exclude each other")
	}
	for _, name := range c.Algorithms {
		if !slices.Contains(algorithms, jose.SignatureAlgorithm(name)) {
			return nil, fmt.Errorf("the algorithm %q does not count (want some of %v)", name, algorithms)
		}
		t.algorithms = append(t.algorithms, jose.SignatureAlgorithm(name))
	}
	if t.algorithms == nil {
		t.algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA}
	}
	if c.Key != "" {
		keys, err := newFileKeys(c.Key)
		if err != nil {
			return nil, err
		}
		app.watch(keys)
		t.keys = keys
		return t, nil
	}
	for _, address := range []string{c.Issuer, c.JWKS} {
		if u, err := url.Parse(address); address != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
			return nil, fmt.Errorf("%q is no URL to fetch keys from (or give them with `key FILE`)", address)
		}
	}
	t.keys = newRemoteKeys(c.Issuer, c.JWKS, logger)
	return t, nil
}

// verify returns the claims of the request's token, or none where there is no token.
func (t *tokens) verify(r *http.Request) (map[string]any, error) {
	values := r.Header["Authorization"]
	if len(values) > 1 {
		return nil, errTokenTwice
	}
	if len(values) == 0 {
		return nil, nil
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return nil, nil
	}
	token = strings.TrimSpace(token)
	if len(token) > maxToken {
		return nil, errTokenMalformed
	}
	generation := t.keys.generation()
	if claims := t.verified.get(token, generation); claims != nil {
		return claims, nil
	}
	payload, err := t.payload(r, token)
	if err != nil {
		return nil, err
	}
	claims, expiry, err := t.claims(payload)
	if err == nil {
		t.verified.put(token, claims, expiry, generation)
	}
	return claims, err
}

// payload returns what the token says, once a key of the issuer proves that it said it.
func (t *tokens) payload(r *http.Request, token string) ([]byte, error) {
	signed, err := jose.ParseSignedCompact(token, t.algorithms)
	if err != nil || len(signed.Signatures) != 1 {
		return nil, errTokenMalformed
	}
	header := signed.Signatures[0].Header
	keys, err := t.keys.find(r, header.KeyID)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		// A key that names its algorithm or use is for that alone (RFC 7517 section 4).
		if key.Algorithm != "" && key.Algorithm != header.Algorithm || key.Use != "" && key.Use != "sig" {
			continue
		}
		if payload, err := signed.Verify(key.Key); err == nil {
			return payload, nil
		}
	}
	return nil, errTokenSignature
}

func (t *tokens) claims(payload []byte) (claims map[string]any, expiry time.Time, err error) {
	var standard jwt.Claims
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.UseNumber() // an id that is a long number stays exact
	if json.Unmarshal(payload, &standard) != nil || decoder.Decode(&claims) != nil {
		return nil, expiry, errTokenMalformed
	}
	if standard.Expiry == nil {
		return nil, expiry, errTokenExpired // a token for ever cannot be taken back
	}
	expected := jwt.Expected{Issuer: t.issuer, AnyAudience: t.audience, Time: time.Now()}
	switch err := standard.ValidateWithLeeway(expected, leeway); {
	case err == nil:
		return claims, standard.Expiry.Time(), nil
	case errors.Is(err, jwt.ErrExpired):
		return nil, expiry, errTokenExpired
	case errors.Is(err, jwt.ErrInvalidIssuer):
		return nil, expiry, errTokenIssuer
	case errors.Is(err, jwt.ErrInvalidAudience):
		return nil, expiry, errTokenAudience
	}
	return nil, expiry, errTokenEarly
}

// The bounds of the memory for verified tokens. A verified token is believed for a while without asking the keys again;
// where they change, nothing is remembered.
const (
	maxVerified  = 4096
	verifiedLife = 5 * time.Minute
)

// tokenCache remembers what tokens said, by their hashes: checking an ECDSA signature costs as much as half a request.
type tokenCache struct {
	mu         sync.RWMutex
	generation uint64
	entries    map[[sha256.Size]byte]verifiedToken
}

type verifiedToken struct {
	claims map[string]any // read-only
	until  time.Time
}

func (c *tokenCache) get(token string, generation uint64) map[string]any {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.generation != generation || len(c.entries) == 0 {
		return nil
	}
	if entry := c.entries[sha256.Sum256([]byte(token))]; time.Now().Before(entry.until) {
		return entry.claims
	}
	return nil
}

func (c *tokenCache) put(token string, claims map[string]any, expiry time.Time, generation uint64) {
	until := time.Now().Add(verifiedLife)
	if expiry.Before(until) {
		until = expiry
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation != generation || c.entries == nil || len(c.entries) >= maxVerified {
		c.generation, c.entries = generation, make(map[[sha256.Size]byte]verifiedToken)
	}
	c.entries[sha256.Sum256([]byte(token))] = verifiedToken{claims, until}
}
