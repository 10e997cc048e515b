package bridge

import (
	"context"
	"log/slog"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/redact"
)

// hashed returns the ID as log lines name it; "" for none, also where there is no Bridge yet.
func (b *Bridge) hashed(id string) string {
	if b == nil {
		return ""
	}
	return b.logKey.Hash(id)
}

func logKey(key []byte) *redact.Key {
	k := redact.Key(credentials.DeriveKey(key, "sessionbridge log ids"))
	return &k
}

// logSession and logClient are the attributes by which log lines name a session and a client.
func (b *Bridge) logSession(id string) slog.Attr { return slog.Any("session", b.logKey.ID(id)) }
func (b *Bridge) logClient(id string) slog.Attr  { return slog.Any("client", b.logKey.ID(id)) }

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
