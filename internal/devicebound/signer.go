package devicebound

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
)

// purpose is what a signed text is for. It can't be used for another purpose.
type purpose byte

const (
	registration purpose = 'r' // the challenge of a registration
	refresh      purpose = 'f' // the challenge of a refresh
	boundCookie  purpose = 'c' // the value of a bound cookie
)

// statement is what a signed text is about.
type statement struct {
	sessionID string
	login     uint64 // see binding
	proofs    uint64 // likewise; 0 for a registration and a cookie
}

// signer signs statements: a text has a time and the MAC of purpose, statement and time, and names
// nothing else.
type signer struct {
	secrets atomic.Pointer[[][sha256.Size]byte]
}

// textBytes is the length of a text before its encoding.
const textBytes = 8 + sha256.Size

// encoding is strict, so that each text has one form.
var encoding = base64.RawURLEncoding.Strict()

func (s *signer) setKeys(keys [][]byte) {
	secrets := make([][sha256.Size]byte, len(keys))
	for i, key := range keys {
		secrets[i] = credentials.DeriveKey(key, "sessionbridge device binding")
	}
	s.secrets.Store(&secrets)
}

// sign returns the text for the statement and the time, to the second.
func (s *signer) sign(p purpose, what statement, at time.Time) string {
	var raw [textBytes]byte
	binary.BigEndian.PutUint64(raw[:8], uint64(at.Unix())) //nolint:gosec // after 1970
	sum := what.mac((*s.secrets.Load())[0], p, raw[:8])
	copy(raw[8:], sum[:])
	return encoding.EncodeToString(raw[:])
}

// verify returns the time of a text that sign has made for the purpose and the statement.
func (s *signer) verify(p purpose, what statement, text string) (at time.Time, ok bool) {
	var raw [textBytes]byte
	if len(text) != encoding.EncodedLen(len(raw)) {
		return at, false
	}
	if _, err := encoding.Decode(raw[:], []byte(text)); err != nil {
		return at, false
	}
	for _, secret := range *s.secrets.Load() {
		sum := what.mac(secret, p, raw[:8])
		if hmac.Equal(sum[:], raw[8:]) {
			return time.Unix(int64(binary.BigEndian.Uint64(raw[:8])), 0), true //nolint:gosec // as it was signed
		}
	}
	return at, false
}

func (what *statement) mac(secret [sha256.Size]byte, p purpose, at []byte) [sha256.Size]byte {
	input := make([]byte, 0, 1+3*8+len(what.sessionID)) // all but the last have fixed sizes
	input = append(append(input, byte(p)), at...)
	input = binary.BigEndian.AppendUint64(input, what.login)
	input = binary.BigEndian.AppendUint64(input, what.proofs)
	input = append(input, what.sessionID...)
	mac := hmac.New(sha256.New, secret[:])
	mac.Write(input)
	return [sha256.Size]byte(mac.Sum(nil))
}
