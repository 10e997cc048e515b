package bridge

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
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

// hashed returns the ID as log lines name it; "" for none, also where there is no Bridge yet.
func (b *Bridge) hashed(id string) string {
	if b == nil {
		return ""
	}
	return logID{b.logKey, id}.LogValue().String()
}

func logKey(key []byte) *[32]byte {
	k := credentials.DeriveKey(key, "sessionbridge log ids")
	return &k
}

// logSession and logClient are the attributes by which log lines name a session and a client.
func (b *Bridge) logSession(id string) slog.Attr { return slog.Any("session", logID{b.logKey, id}) }
func (b *Bridge) logClient(id string) slog.Attr  { return slog.Any("client", logID{b.logKey, id}) }

// logCommit returns what tells of the changes that matter for a session's safety; nil: this is none.
func (b *Bridge) logCommit(c *gateway.Commit, from *origin) func() {
	if !c.IsNew && !c.Rotated {
		return nil
	}
	ctx, logger := context.Background(), b.opts.Logger
	attrs := []slog.Attr{
		b.logSession(c.Record.ID), b.logClient(c.Record.ClientID), slog.Bool("login", c.Login), slog.String("via", string(from.via)),
	}
	switch {
	case c.IsNew:
		return func() { logger.LogAttrs(ctx, slog.LevelDebug, "session created", attrs...) }
	case c.Login:
		return func() {
			logger.LogAttrs(ctx, slog.LevelDebug, "user logged in: the session has a new token", attrs...)
		}
	}
	return func() { logger.LogAttrs(ctx, slog.LevelDebug, "session's token rotated", attrs...) }
}

// logEnd tells of a session's end.
func (b *Bridge) logEnd(id, clientID string, from *origin) {
	b.opts.Logger.LogAttrs(context.Background(), slog.LevelDebug, "session ended",
		b.logSession(id), b.logClient(clientID), slog.String("reason", string(from.reason)), slog.String("via", string(from.via)))
}
