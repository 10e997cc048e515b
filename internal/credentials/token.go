package credentials

import (
	"crypto/rand"
	"crypto/sha256"

	"github.com/sessionbridge/sessionbridge/store"
)

// Token is the secret of a session credential (ASVS 7.2.3: 128 bits). It has no method that
// prints it.
type Token [16]byte

// NewToken returns a random token.
func NewToken() (t Token) {
	_, _ = rand.Read(t[:])
	return t
}

// Hash returns what a record stores of the token.
func (t Token) Hash() store.TokenHash { return sha256.Sum256(t[:]) }

// Session is a session credential with a valid signature. It proves nothing until its token has
// been checked against the stored hash: see Grace.
type Session struct {
	ID     string // of the session
	Token  Token
	Signed int64 // when, in Unix seconds; 0: it isn't signed yet
	Stale  bool  // it is to be signed anew: with the first key, under the present name
	Host   bool  // no sibling host can have set the cookie, and those of Config.Name are all like it
}

// Client is a client cookie with a valid signature.
type Client struct {
	ID     string
	Signed int64 // Unix seconds
	Stale  bool  // as that of a Session
	Host   bool  // likewise
}
