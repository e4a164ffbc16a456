package rules

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"
	"sync"
)

// minKey is the shortest pseudonym key in bytes. A shorter one could be guessed, and with it every token reversed.
const minKey = 16

// tokenBytes is how much of the HMAC a token shows: 128 bits, so that two values do not share a token by chance.
const tokenBytes = 16

var tokenEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// KeyRing holds the keys of pseudonyms by their ids. Immutable, safe for concurrent use.
type KeyRing struct {
	current string // the id that new tokens carry: the greatest one, so that keys named by date rotate by themselves
	macs    sync.Pool
	own     map[string]*KeyRing // of one recipient alone, by its name
}

// NewKeyRing checks the keys by their names. A name is a key's id, 1 to 32 letters, digits, dots or hyphens; or that of a
// recipient, an underscore and the id: such a key is for this recipient alone. A key has at least 16 bytes.
func NewKeyRing(keys map[string][]byte) (*KeyRing, error) {
	byRecipient := map[string]map[string][]byte{"": {}}
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		id := name[strings.LastIndexByte(name, '_')+1:]
		recipient := strings.TrimSuffix(strings.TrimSuffix(name, id), "_")
		if !validKeyID(id) || recipient == "" && id != name {
			return nil, fmt.Errorf("the key id in %q is not 1 to 32 letters, digits, dots or hyphens", name)
		}
		if len(keys[name]) < minKey {
			return nil, fmt.Errorf("the key %q is shorter than %d bytes; 32 random ones are better", name, minKey)
		}
		if byRecipient[recipient] == nil {
			byRecipient[recipient] = map[string][]byte{}
		}
		byRecipient[recipient][id] = keys[name]
	}
	if len(byRecipient[""]) == 0 {
		return nil, errors.New("a key directory needs at least one key that is for everybody: a file of 32 random bytes, its name the key id")
	}
	k := newRing(byRecipient[""])
	delete(byRecipient, "")
	k.own = make(map[string]*KeyRing, len(byRecipient))
	for recipient, keys := range byRecipient {
		k.own[recipient] = newRing(keys)
	}
	return k, nil
}

func newRing(keys map[string][]byte) *KeyRing {
	k := &KeyRing{current: slices.Max(slices.Collect(maps.Keys(keys)))}
	key := slices.Clone(keys[k.current])
	k.macs.New = func() any { return hmac.New(sha256.New, key) }
	return k
}

// Recipients are those who have keys of their own, sorted.
func (k *KeyRing) Recipients() []string { return slices.Sorted(maps.Keys(k.own)) }

// to is the ring for what goes to a recipient: its own one where it has any.
func (k *KeyRing) to(recipient string) *KeyRing {
	if k == nil || k.own[recipient] == nil {
		return k
	}
	return k.own[recipient]
}

func validKeyID(id string) bool {
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' {
			return false
		}
	}
	return 0 < len(id) && len(id) <= 32
}

// Append appends the token of a value: the same for the same audience, category and value under one key, and telling
// nothing between different ones (RFC 2104 HMAC over parts with a zero byte between). It reads hm1_<key id>_<26 characters>.
func (k *KeyRing) Append(dst []byte, audience string, category Category, value []byte) []byte {
	mac := k.macs.Get().(hash.Hash)
	defer k.macs.Put(mac)
	mac.Reset()
	// Audience and category come from the configuration and cannot hold a zero byte.
	mac.Write(append(append(append(append(dst[len(dst):], audience...), 0), category...), 0))
	mac.Write(value)
	var sum [sha256.Size]byte
	mac.Sum(sum[:0])
	dst = append(append(append(dst, tokenStart...), k.current...), '_')
	return tokenEncoding.AppendEncode(dst, sum[:tokenBytes])
}

const tokenStart = "hm1_"

// IsToken reports whether a text reads as a token does.
func IsToken(text string) bool { return strings.HasPrefix(text, tokenStart) }
