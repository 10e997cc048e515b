package credentials

import (
	"crypto/hmac"
	"crypto/sha256"

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
// a response that arrives late, twice or out of order brings the browser no outdated token. A party
// that knows the previous token but not the secret learns nothing about the next one.
type Successors [][sha256.Size]byte

// NewSuccessors returns the Successors under the keys, at least one.
func NewSuccessors(keys [][]byte) Successors {
	s := make(Successors, len(keys))
	for i, key := range keys {
		s[i] = DeriveKey(key, "sessionbridge token succession")
	}
	return s
}

// Of returns the successor of the token for a login of the user, or for a renewal if userID is "".
// If one of the keys leads to the token with the hash current, which is stored already, Of returns
// that one; otherwise the one to which the first key leads.
func (s Successors) Of(sessionID string, t Token, userID string, current store.TokenHash) Token {
	first := successor(s[0], sessionID, t, userID)
	if first.Hash() == current {
		return first
	}
	for _, secret := range s[1:] {
		if next := successor(secret, sessionID, t, userID); next.Hash() == current {
			return next
		}
	}
	return first
}

func successor(secret [sha256.Size]byte, sessionID string, t Token, userID string) Token {
	mac := hmac.New(sha256.New, secret[:])
	mac.Write(t[:]) // the first two have fixed sizes: no two inputs have the same encoding
	mac.Write([]byte(sessionID))
	mac.Write([]byte(userID))
	return Token(mac.Sum(nil)[:len(Token{})])
}
