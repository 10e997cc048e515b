package redact

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
)

// Key makes the hashes of IDs.
type Key [sha256.Size]byte

// ID is an ID that is logged as a keyed hash.
type ID struct {
	key *Key
	id  string
}

// ID returns the ID as slog is to log it. It is hashed only if the line is written.
func (k *Key) ID(id string) ID { return ID{k, id} }

// LogValue implements slog.LogValuer.
func (i ID) LogValue() slog.Value { return slog.StringValue(i.key.Hash(i.id)) }

// Format implements fmt.Formatter, for a slog.Handler that prints a value without resolving it.
func (i ID) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, i.key.Hash(i.id)) }

// Hash returns the hash of an ID, of 16 hexadecimal digits; "" for "".
func (k *Key) Hash(id string) string {
	if id == "" {
		return ""
	}
	mac := hmac.New(sha256.New, k[:])
	mac.Write([]byte(id))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}
