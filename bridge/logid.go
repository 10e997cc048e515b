package bridge

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
)

// logID is an ID that is logged as a keyed hash: log lines about one session can be found by one another, and nobody can find the
// session by them (OWASP: logging session ids).
type logID struct {
	key *[32]byte
	id  string
}

// LogValue implements slog.LogValuer.
func (l logID) LogValue() slog.Value {
	if l.id == "" {
		return slog.StringValue("")
	}
	mac := hmac.New(sha256.New, l.key[:])
	mac.Write([]byte(l.id))
	return slog.StringValue(hex.EncodeToString(mac.Sum(nil)[:8]))
}

func logKey(key []byte) *[32]byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("sessionbridge log ids"))
	k := [32]byte(mac.Sum(nil))
	return &k
}

// logSession and logClient are the attributes by which log lines name a session and a client.
func (b *Bridge) logSession(id string) slog.Attr { return slog.Any("session", logID{b.logKey, id}) }
func (b *Bridge) logClient(id string) slog.Attr  { return slog.Any("client", logID{b.logKey, id}) }

func logReason(from *origin) slog.Attr {
	return slog.String("reason", string(from.reason)+" via "+string(from.via))
}
