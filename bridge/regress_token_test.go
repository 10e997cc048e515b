package bridge_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"reflect"
	"testing"

	"github.com/google/uuid"
	"github.com/gorilla/securecookie"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// sessionCookie returns what a session cookie says: the session's ID and its token.
func sessionCookie(t *testing.T, key []byte, value string) (id string, token [16]byte) {
	t.Helper()
	var signed []byte
	require.NoError(t, securecookie.New(key, nil).SetSerializer(securecookie.NopEncoder{}).Decode("sid", value, &signed))
	raw, err := base64.RawURLEncoding.DecodeString(string(signed))
	require.NoError(t, err)
	require.Len(t, raw, 16+16)
	return uuid.UUID(raw[:16]).String(), [16]byte(raw[16:])
}

// requireSecret checks that nothing of the record has the token in it, whichever way it may be
// written.
func requireSecret(t *testing.T, token [16]byte, rec store.Record) {
	t.Helper()
	written := [][]byte{
		token[:], []byte(hex.EncodeToString(token[:])), []byte(base64.RawStdEncoding.EncodeToString(token[:])),
		[]byte(base64.RawURLEncoding.EncodeToString(token[:])), []byte(uuid.UUID(token).String()),
	}
	id := uuid.MustParse(rec.ID)
	client := uuid.MustParse(rec.ClientID)
	fields := map[string][]byte{"the ID's bytes": id[:], "the client ID's bytes": client[:]}
	v := reflect.ValueOf(rec)
	for i := range v.NumField() {
		name, value := v.Type().Field(i).Name, v.Field(i).Interface()
		switch value := value.(type) {
		case []byte:
			fields[name] = value
		case store.TokenHash:
			fields[name] = value[:]
		case store.WriteID:
			fields[name] = value[:]
		default:
			fields[name] = fmt.Append(nil, value)
		}
	}
	for name, field := range fields {
		for _, w := range written {
			require.False(t, bytes.Contains(field, w), "%s has the token in it", name)
		}
	}
}

// ASVS 7.2.3: 128 bits of randomness. The store has no more than its SHA-256, so who reads the
// store opens nothing.
func TestS1_TokenIs128RandomBitsThatTheStoreDoesNotHave(t *testing.T) {
	key := testkit.Key()
	st := livestore.New()
	a := testkit.NewApp(t, st, &bridge.Options{Keys: [][]byte{key}})
	h := a.Handler(a.Mux)
	seen := make(map[[16]byte]bool)
	var ones, zeros [16]byte // bits that have been so
	for range 64 {
		visitor := webclient.Pocket{}
		visitor.Get(t, h, "/inc")
		id, token := sessionCookie(t, key, visitor["sid"])
		require.Equal(t, id, visitor.Get(t, h, "/id").Body.String())
		rec := teststore.Stored(t, st, id)
		require.Equal(t, store.TokenHash(sha256.Sum256(token[:])), rec.TokenHash)
		require.True(t, rec.PrevTokenHash.IsZero())
		requireSecret(t, token, rec)
		require.False(t, seen[token])
		seen[token] = true
		for i, b := range token {
			ones[i] |= b
			zeros[i] |= ^b
		}
	}
	all := [16]byte(bytes.Repeat([]byte{0xff}, 16))
	require.Equal(t, all, ones, "a bit that is always 0 is not random")
	require.Equal(t, all, zeros, "nor one that is always 1")
}

func TestEachNewTokenIsUnrelatedToTheLastOne(t *testing.T) {
	key := testkit.Key()
	st := livestore.New()
	a := testkit.NewApp(t, st, &bridge.Options{Keys: [][]byte{key}})
	h := a.Handler(a.Mux)
	visitor := webclient.Pocket{}
	visitor.Get(t, h, "/inc")
	id, last := sessionCookie(t, key, visitor["sid"])
	for _, path := range []string{"/rotate", "/login?user=ada", "/rotate"} {
		visitor.Get(t, h, path)
		same, token := sessionCookie(t, key, visitor["sid"])
		require.Equal(t, id, same, "the ID is stable")
		for i := range token { // a byte in common is chance, four in a row are not
			if i+4 <= len(token) {
				require.False(t, bytes.Contains(last[:], token[i:i+4]))
			}
		}
		rec := teststore.Stored(t, st, id)
		require.Equal(t, store.TokenHash(sha256.Sum256(token[:])), rec.TokenHash)
		require.Equal(t, store.TokenHash(sha256.Sum256(last[:])), rec.PrevTokenHash)
		requireSecret(t, token, rec)
		requireSecret(t, last, rec)
		last = token
	}
}
