package sealed_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/sealed"
)

// TestS17_Format: another program that knows the key and the format opens a record, step by step. What
// is stored depends on the format: another one needs another version in the envelope.
func TestS17_Format(t *testing.T) {
	inner := livestore.New()
	shop := capability[store.Namespacer](t, seal(t, inner, nil, 1)).App("shop").(*sealed.Store)
	rec := create(t, shop)
	stored := get(t, inner.App("shop"), rec.ID)

	require.Equal(t, nameOf(t, "client ids", rec.ClientID), stored.ClientID)
	require.Equal(t, nameOf(t, "user ids", rec.UserID), stored.UserID)
	for _, name := range []string{stored.ClientID, stored.UserID} {
		hash, err := base64.RawURLEncoding.DecodeString(name)
		require.NoError(t, err)
		require.Len(t, hash, 16)
	}

	envelope := stored.Data
	require.Equal(t, "\x00sb\x01", string(envelope[:4]))
	require.Equal(t, purpose(t, keyOf(1), "key id", 8), envelope[4:12])
	salt, nonce, box := envelope[12:24], envelope[24:36], envelope[36:]
	secret := purpose(t, keyOf(1), "records", 32)
	key, err := hkdf.Expand(sha256.New, secret, "sessionbridge sealed 1: cipher"+string(salt), 32)
	require.NoError(t, err)
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	gcm, err := cipher.NewGCM(block)
	require.NoError(t, err)
	plaintext, err := gcm.Open(nil, nonce, box, boundOf("shop", &stored))
	require.NoError(t, err)
	var want []byte
	for _, field := range []string{rec.ClientID, rec.UserID, rec.Addr, rec.UserAgent} {
		want = append(append(want, byte(len(field))), field...)
	}
	require.Equal(t, string(append(want, rec.Data...)), string(plaintext))
}

// purpose returns the key that is derived from a key of the application.
func purpose(t *testing.T, key []byte, of string, size int) []byte {
	t.Helper()
	derived, err := hkdf.Key(sha256.New, key, nil, "sessionbridge sealed 1: "+of, size)
	require.NoError(t, err)
	return derived
}

// nameOf returns the name of a user or client of the App shop.
func nameOf(t *testing.T, of, id string) string {
	t.Helper()
	mac := hmac.New(sha256.New, purpose(t, keyOf(1), of, 32))
	mac.Write([]byte("\x04shop" + id))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// boundOf returns the associated data of a record.
func boundOf(app string, rec *store.Record) []byte {
	b := []byte("\x00sb\x01")
	for _, text := range []string{app, rec.ID, rec.ClientID, rec.UserID} {
		b = append(append(b, byte(len(text))), text...)
	}
	b = append(b, rec.TokenHash[:]...)
	b = append(b, rec.PrevTokenHash[:]...)
	b = append(b, byte(rec.Renewal))
	millis := func(at time.Time) uint64 {
		if at.IsZero() {
			return math.MaxUint64
		}
		return uint64(at.UnixMilli())
	}
	for _, n := range []uint64{
		rec.TokenGeneration, rec.LoginGeneration, rec.Writes,
		millis(rec.Created), millis(rec.LoggedIn), millis(rec.RotatedAt),
		uint64(rec.Idle.Milliseconds()), uint64(rec.Lifetime.Milliseconds()),
	} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}
