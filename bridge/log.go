package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/logqueue"
	"github.com/sessionbridge/sessionbridge/internal/redact"
)

// defaultLog is the slog.Handler of a Bridge without Options.Logger: whatever slog.Default returns
// when a line is logged, so that a slog.SetDefault that comes after New counts.
type defaultLog struct{}

// Enabled implements slog.Handler.
func (defaultLog) Enabled(ctx context.Context, level slog.Level) bool {
	return slog.Default().Handler().Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (defaultLog) Handle(ctx context.Context, r slog.Record) error {
	return slog.Default().Handler().Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (defaultLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return slog.Default().Handler().WithAttrs(attrs)
}

// WithGroup implements slog.Handler.
func (defaultLog) WithGroup(name string) slog.Handler {
	return slog.Default().Handler().WithGroup(name)
}

// newLogQueue returns the queue for the log lines of goroutines that must not wait for the Handler:
// those of the pools, of the clock and of the store.
func newLogQueue(b *Bridge) *logqueue.Queue {
	return logqueue.New(logqueue.Config{
		Go: b.work.Go,
		Dropped: func(lines int) {
			b.opts.Logger.Warn("log lines were dropped: the Handler is too slow", slog.Int("lines", lines))
		},
		Panicked: func() {
			b.events.Emit(Failure{Doing: "write a log line: the Handler panicked", Err: ErrPanicked})
		},
	})
}

// logAside has a line written soon. It waits for nothing.
func (b *Bridge) logAside(line func()) { b.lines.Add(line) }

// logInTime is logAside for a line that is to be in the log before the caller goes on, unless the
// Handler takes longer than closeGrace.
func (b *Bridge) logInTime(line func()) { b.lines.AddAndWait(line, closeGrace) }

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

// logCommit returns what tells of the changes that matter for a session's safety; nil: this is
// none.
func (b *Bridge) logCommit(c *gateway.Commit, from *origin) func() {
	if !c.IsNew && !c.Rotated {
		return nil
	}
	ctx, logger := context.Background(), b.opts.Logger
	attrs := []slog.Attr{
		b.logSession(c.Record.ID), b.logClient(c.Record.ClientID),
		slog.Bool("login", c.Login), slog.String("via", string(from.via)),
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
		b.logSession(id), b.logClient(clientID),
		slog.String("reason", string(from.reason)), slog.String("via", string(from.via)))
}

// failed is the one way to report what nobody is there to be told of: log and event can't say
// different things.
func (b *Bridge) failed(ctx context.Context, level slog.Level, f Failure) {
	b.logFailed(ctx, level, &f)
	b.events.Emit(f)
}

func (b *Bridge) logFailed(ctx context.Context, level slog.Level, f *Failure) {
	attrs := []slog.Attr{slog.String("doing", f.Doing), slog.Any("error", f.Err)}
	if f.SessionID != "" {
		attrs = append(attrs, b.logSession(f.SessionID))
	}
	b.opts.Logger.LogAttrs(ctx, level, "failed", attrs...)
}

// failedAside is failed for goroutines that others wait for: the event comes at once, the line by
// itself.
func (b *Bridge) failedAside(ctx context.Context, level slog.Level, f Failure) {
	b.logAside(func() { b.logFailed(ctx, level, &f) })
	b.events.Emit(f)
}

// failedInTime is failedAside, but the line is written before it returns, unless the Handler takes
// longer than closeGrace.
func (b *Bridge) failedInTime(ctx context.Context, level slog.Level, f Failure) {
	b.logInTime(func() { b.logFailed(ctx, level, &f) })
	b.events.Emit(f)
}

// storeFailed is failed for what the Bridge carries on without. During an outage there are many of
// these, from everywhere: none waits for the log.
func (b *Bridge) storeFailed(ctx context.Context, doing, id string, err error) {
	b.failedAside(ctx, slog.LevelWarn, Failure{doing, id, err})
}

// panicked reports a panic of the application's code that was recovered: to the log with its stack,
// and as a Failure with ErrPanicked. It is called by the function that has recovered it.
func (b *Bridge) panicked(ctx context.Context, message, doing, sessionID string, value any) {
	var attrs []slog.Attr
	if sessionID != "" {
		attrs = append(attrs, b.logSession(sessionID))
	}
	stack := string(debug.Stack())
	b.logInTime(func() { logPanic(ctx, b.opts.Logger, message, value, stack, attrs...) })
	b.events.Emit(Failure{doing, sessionID, ErrPanicked})
}

// logPanic logs a panic with its stack. A panic is always reported: by slog's default logger where
// the application's own discards errors.
func logPanic(ctx context.Context, logger *slog.Logger, message string, value any, stack string, attrs ...slog.Attr) {
	if !logger.Enabled(ctx, slog.LevelError) {
		logger = slog.Default()
	}
	attrs = append(attrs, slog.Any("panic", value), slog.String("stack", stack))
	logger.LogAttrs(ctx, slog.LevelError, message, attrs...) //nolint:sloglint // one of a few constants
}

// Applications print what they have in their hands, in a line of a log or when something panics.
// What follows has fmt and slog show of it what a log may have: no value, no user, no token, no
// hash of one, and IDs as a keyed hash only. It reads nothing that needs a lock.

// Format implements fmt.Formatter.
func (b *Bridge) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "bridge.Bridge") }

// The contexts of a function of WithSession and of a connection do the same.
