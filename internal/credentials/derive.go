package credentials

import (
	"crypto/hmac"
	"crypto/sha256"
	"sync/atomic"

	"github.com/sessionbridge/sessionbridge/store"
)

// DeriveKey derives a key for one purpose from one of the application's keys.
func DeriveKey(key []byte, purpose string) [sha256.Size]byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(purpose))
	return [sha256.Size]byte(mac.Sum(nil))
}

// Successors derives the tokens that renewals and logins issue. Each is a pseudo-random function,
// under a secret of this application, of the token that it replaces and of the user who logs in. So
// the same step made twice, by a repeated request or on another node, leads to the same token, and
// a response that arrives late, twice or out of order doesn't set an outdated token. A party that
// knows the previous token but not the secret learns nothing about the next one. It is safe for
// concurrent use.
type Successors struct {
	secrets atomic.Pointer[[][sha256.Size]byte]
}

// NewSuccessors returns the Successors under the keys, at least one.
func NewSuccessors(keys [][]byte) *Successors {
	s := &Successors{}
	s.SetKeys(keys)
	return s
}

// SetKeys replaces the keys.
func (s *Successors) SetKeys(keys [][]byte) {
	secrets := make([][sha256.Size]byte, len(keys))
	for i, key := range keys {
		secrets[i] = DeriveKey(key, "sessionbridge token succession")
	}
	s.secrets.Store(&secrets)
}

// Of returns the successor of the token for a login of the user, or for a renewal if userID is "".
// If one of the keys leads to the token with the hash current, which is stored already, Of returns
// that one; otherwise the one to which the first key leads.
func (s *Successors) Of(sessionID string, t Token, userID string, current store.TokenHash) Token {
	return s.All(sessionID, t, userID).Current(current)
}

// All returns the successors under each of the keys. Nodes that have the same keys in another
// order, as they may while a key is replaced, issue another one of these.
func (s *Successors) All(sessionID string, t Token, userID string) Alternatives {
	secrets := *s.secrets.Load()
	all := make(Alternatives, len(secrets))
	for i, secret := range secrets {
		all[i] = successor(secret, sessionID, t, userID)
	}
	return all
}

// Alternatives are the tokens to which one step may lead, the preferred one first.
type Alternatives []Token

// Current returns the one that has the hash, or else the first one.
func (a Alternatives) Current(hash store.TokenHash) Token {
	for _, t := range a {
		if t.Hash() == hash {
			return t
		}
	}
	return a[0]
}

// Hashes returns the hashes of the tokens.
func (a Alternatives) Hashes() []store.TokenHash {
	hashes := make([]store.TokenHash, len(a))
	for i, t := range a {
		hashes[i] = t.Hash()
	}
	return hashes
}

func successor(secret [sha256.Size]byte, sessionID string, t Token, userID string) Token {
	mac := hmac.New(sha256.New, secret[:])
	mac.Write(t[:]) // the first two have fixed sizes: no two inputs have the same encoding
	mac.Write([]byte(sessionID))
	mac.Write([]byte(userID))
	return Token(mac.Sum(nil)[:len(Token{})])
}
