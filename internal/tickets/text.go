package tickets

import (
	"encoding/base64"

	"github.com/google/uuid"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
)

// rawBytes is the length of a ticket: a record's ID and a secret.
const rawBytes = len(uuid.UUID{}) + len(credentials.Token{})

// encoding is strict, so that each ticket has one text.
var encoding = base64.RawURLEncoding.Strict()

func format(id uuid.UUID, secret credentials.Token) string {
	return encoding.EncodeToString(append(id[:], secret[:]...))
}

func parse(text string) (id string, secret credentials.Token, ok bool) {
	var raw [rawBytes]byte
	if len(text) != encoding.EncodedLen(len(raw)) {
		return "", secret, false
	}
	if _, err := encoding.Decode(raw[:], []byte(text)); err != nil {
		return "", secret, false
	}
	const cut = len(uuid.UUID{})
	return uuid.UUID(raw[:cut]).String(), credentials.Token(raw[cut:]), true
}
