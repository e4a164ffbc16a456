package minimize

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"go.uber.org/zap"
)

// fileKeys are the keys of a file.
type fileKeys struct {
	watched
	name  string
	keys  atomic.Pointer[[]jose.JSONWebKey]
	loads atomic.Uint64
}

func newFileKeys(name string) (*fileKeys, error) {
	k := &fileKeys{name: name}
	keys, hash, err := k.read()
	if err != nil {
		return nil, fmt.Errorf("reading the key file %s: %w", name, err)
	}
	k.seen, k.taken = hash, hash
	k.keys.Store(&keys)
	return k, nil
}

// read returns the file's keys and a hash of what it found, also where that is an error.
func (k *fileKeys) read() (keys []jose.JSONWebKey, hash string, err error) {
	data, err := os.ReadFile(k.name)
	if err != nil {
		return nil, "error " + err.Error(), err
	}
	sum := sha256.Sum256(data)
	keys, err = parseKeys(data)
	return keys, string(sum[:]), err
}

// refresh reads the file again. What does not load leaves the last good keys, and is returned once.
func (k *fileKeys) refresh() error {
	keys, hash, err := k.read()
	if !k.due(hash) {
		return nil
	}
	k.loaded(hash, err)
	if err == nil {
		k.keys.Store(&keys)
		k.loads.Add(1)
	}
	return err
}

func (k *fileKeys) generation() uint64 { return k.loads.Load() }

func (k *fileKeys) find(_ *http.Request, id string) ([]jose.JSONWebKey, error) {
	return matching(*k.keys.Load(), id), nil
}

// matching returns the keys that may have signed with this id. Keys without an id, as PEM has none, may always have.
func matching(keys []jose.JSONWebKey, id string) []jose.JSONWebKey {
	var found []jose.JSONWebKey
	for _, key := range keys {
		if id == "" || key.KeyID == "" || key.KeyID == id {
			found = append(found, key)
		}
	}
	return found
}

// parseKeys reads public keys: a JSON Web Key Set, or PEM blocks of public keys and certificates.
func parseKeys(data []byte) ([]jose.JSONWebKey, error) {
	if json.Valid(data) {
		return parseKeySet(data)
	}
	var keys []jose.JSONWebKey
	blocks := bytes.Count(data, []byte("-----BEGIN "))
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		data = rest
		key, err := parseBlock(block)
		if err != nil {
			return nil, err
		}
		keys = append(keys, jose.JSONWebKey{Key: key})
	}
	if len(keys) != blocks { // pem.Decode passes over what it cannot read
		return nil, errors.New("a PEM block is cut off or damaged")
	}
	if len(keys) == 0 {
		return nil, errors.New("want PEM public keys or a JSON Web Key Set")
	}
	return keys, nil
}

func parseBlock(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return cert.PublicKey, nil
	}
	return nil, fmt.Errorf("a PEM block is no public key and no certificate (%q)", block.Type)
}

// parseKeySet reads a key set, without the keys in it that are no public signature keys (RFC 7517 section 5).
func parseKeySet(data []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil || set.Keys == nil {
		return nil, errors.New("want a JSON Web Key Set with its `keys`")
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) != nil {
			continue
		}
		switch key.Key.(type) {
		case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey:
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the key set holds no public signature key")
	}
	return keys, nil
}

// How often the keys of an issuer are fetched: an unknown key id is no reason to ask more often than fetchPause, which
// keeps a flood of forged tokens away from the issuer; older keys than fetchAge are asked for again, so that a withdrawn
// one goes.
var (
	fetchPause = 10 * time.Second
	fetchAge   = time.Hour
)

// remoteKeys are the keys of an issuer, fetched when a token first needs them.
type remoteKeys struct {
	issuer string
	url    string // "": found by discovery
	client *http.Client
	logger *zap.Logger

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	fetches atomic.Uint64
	fetched time.Time
	tried   time.Time
	running chan struct{} // closed when the fetch under way is over; nil: none is
}

func newRemoteKeys(issuer, url string, logger *zap.Logger) *remoteKeys {
	return &remoteKeys{issuer: issuer, url: url, client: &http.Client{Timeout: 5 * time.Second}, logger: logger}
}

// find waits for a fetch only where no known key fits.
func (k *remoteKeys) find(r *http.Request, id string) ([]jose.JSONWebKey, error) {
	found, running := k.look(id)
	if len(found) == 0 && running != nil {
		select {
		case <-running:
		case <-r.Context().Done():
			return nil, errKeysUnavailable
		}
	}
	return k.known(id)
}

func (k *remoteKeys) generation() uint64 { return k.fetches.Load() }

func (k *remoteKeys) known(id string) ([]jose.JSONWebKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fetched.IsZero() {
		return nil, errKeysUnavailable
	}
	return matching(k.keys, id), nil
}

// look returns the keys that fit, and the fetch that is under way. It starts one where that may help.
func (k *remoteKeys) look(id string) ([]jose.JSONWebKey, chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	found := matching(k.keys, id)
	now := time.Now()
	needed := len(found) == 0 || now.Sub(k.fetched) > fetchAge
	if needed && k.running == nil && now.Sub(k.tried) > fetchPause {
		k.tried, k.running = now, make(chan struct{})
		go k.fetch()
	}
	return found, k.running
}

// fetch keeps the last good keys where it fails.
func (k *remoteKeys) fetch() {
	keys, err := k.get()
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		k.logger.Error("fetching the issuer's keys; the last good ones stay in force", zap.String("issuer", k.issuer), zap.Error(err))
	} else {
		k.keys, k.fetched = keys, time.Now()
		k.fetches.Add(1)
	}
	close(k.running)
	k.running = nil
}

// get runs in a goroutine of its own, where a panic would end the process.
func (k *remoteKeys) get() (keys []jose.JSONWebKey, err error) {
	defer func() {
		if recover() != nil {
			panicked(k.logger, "an issuer's keys were fetched")
			err = errKeysUnavailable
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	url := k.url
	if url == "" {
		// OpenID Connect Discovery 1.0; the library checks that the document speaks of this issuer.
		provider, err := oidc.NewProvider(oidc.ClientContext(ctx, k.client), k.issuer)
		if err != nil {
			return nil, err
		}
		var document struct {
			JWKS string `json:"jwks_uri"`
		}
		if err := provider.Claims(&document); err != nil {
			return nil, err
		}
		url = document.JWKS
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := k.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the key set answers with status %d", res.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	return parseKeySet(data)
}
