package bridge

import (
	"crypto/hmac"
	"crypto/sha256"
	"slices"

	"github.com/sessionbridge/sessionbridge/store"
)

// successors derives the tokens that renewals and logins give out. Each is a pseudo-random
// function, under a secret of this application, of the token that it replaces and of the user who
// logs in. So the same step made twice, by a repeated request or on another node, leads to the same
// token, and a response that arrives late, twice or after another one brings the browser nothing
// that is outdated. Whoever knows the previous token but not the secret learns nothing of the next.
type successors [][sha256.Size]byte

func newSuccessors(keys [][]byte) successors {
	var s successors
	for _, key := range keys {
		s = append(s, subkey(key, "sessionbridge token succession"))
	}
	return s
}

// of returns what follows the token, for a login of the user, or for a renewal where userID is "".
// If one of the application's keys leads to the token with the hash current, which is stored
// already, it is that one; otherwise it is the one that the first key leads to.
func (s successors) of(sessionID string, t token, userID string, current store.TokenHash) token {
	i := max(0, slices.IndexFunc(s, func(secret [sha256.Size]byte) bool {
		return derive(secret, sessionID, t, userID).hash() == current
	}))
	return derive(s[i], sessionID, t, userID)
}

func derive(secret [sha256.Size]byte, sessionID string, t token, userID string) token {
	mac := hmac.New(sha256.New, secret[:])
	mac.Write(t[:]) // the first two have fixed sizes, so no two inputs look alike
	mac.Write([]byte(sessionID))
	mac.Write([]byte(userID))
	return token(mac.Sum(nil)[:len(token{})])
}
