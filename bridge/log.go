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

// failed reports a failure for which there is no caller to return it to: it logs f, and emits it.
func (b *Bridge) failed(ctx context.Context, level slog.Level, f Failure) {
	b.logFailed(ctx, level, &f)
	b.events.Emit(f)
}

// failedAside is failed for goroutines that must not wait for the log: the line is written later.
func (b *Bridge) failedAside(ctx context.Context, level slog.Level, f Failure) {
	b.logAside(func() { b.logFailed(ctx, level, &f) })
	b.events.Emit(f)
}

// failedInTime is failed, but waits for the log for no longer than closeGrace.
func (b *Bridge) failedInTime(ctx context.Context, level slog.Level, f Failure) {
	b.logInTime(func() { b.logFailed(ctx, level, &f) })
	b.events.Emit(f)
}

// storeFailed is failed for a failure of the store that the Bridge can go on without. There are
// many of these during an outage, so none waits for the log.
func (b *Bridge) storeFailed(ctx context.Context, doing, id string, err error) {
	b.failedAside(ctx, slog.LevelWarn, Failure{doing, id, err})
}

func (b *Bridge) logFailed(ctx context.Context, level slog.Level, f *Failure) {
	attrs := []slog.Attr{slog.String("doing", f.Doing), slog.Any("error", f.Err)}
	if f.SessionID != "" {
		attrs = append(attrs, b.logSession(f.SessionID))
	}
	b.opts.Logger.LogAttrs(ctx, level, "failed", attrs...)
}

// panicked reports a panic of the application's code: to the log with its stack, and as a Failure
// with ErrPanicked. The function that has recovered the panic calls it.
func (b *Bridge) panicked(ctx context.Context, message, doing, sessionID string, value any) {
	var attrs []slog.Attr
	if sessionID != "" {
		attrs = append(attrs, b.logSession(sessionID))
	}
	stack := string(debug.Stack())
	b.logInTime(func() { logPanic(ctx, b.opts.Logger, message, value, stack, attrs...) })
	b.events.Emit(Failure{doing, sessionID, ErrPanicked})
}

// logPanic logs a panic with its stack. It uses slog's default logger if the application's discards
// errors: a panic is always logged.
func logPanic(ctx context.Context, logger *slog.Logger, message string, value any, stack string, attrs ...slog.Attr) {
	if !logger.Enabled(ctx, slog.LevelError) {
		logger = slog.Default()
	}
	attrs = append(attrs, slog.Any("panic", value), slog.String("stack", stack))
	logger.LogAttrs(ctx, slog.LevelError, message, attrs...) //nolint:sloglint // one of a few constants
}

// logCommit returns a function that logs a change of a session's token, nil for other changes.
func (b *Bridge) logCommit(c *gateway.Commit, from *origin) func() {
	message := "session's token rotated"
	switch {
	case c.IsNew:
		message = "session created"
	case !c.Rotated:
		return nil
	case c.Login:
		message = "user logged in: the session has a new token"
	}
	logger, attrs := b.opts.Logger, []slog.Attr{
		b.logSession(c.Record.ID), b.logClient(c.Record.ClientID),
		slog.Bool("login", c.Login), slog.String("via", string(from.via)),
	}
	return func() {
		logger.LogAttrs(context.Background(), slog.LevelDebug, message, attrs...) //nolint:sloglint // a constant
	}
}

// logEnd logs the end of a session.
func (b *Bridge) logEnd(id, clientID string, from *origin) {
	b.opts.Logger.LogAttrs(context.Background(), slog.LevelDebug, "session ended",
		b.logSession(id), b.logClient(clientID),
		slog.String("reason", string(from.reason)), slog.String("via", string(from.via)))
}

// logSession and logClient are the attributes by which log lines name a session and a client.
func (b *Bridge) logSession(id string) slog.Attr { return slog.Any("session", b.logKey.ID(id)) }
func (b *Bridge) logClient(id string) slog.Attr  { return slog.Any("client", b.logKey.ID(id)) }

// hashed returns the ID as log lines name it; "" for "", and for a nil Bridge.
func (b *Bridge) hashed(id string) string {
	if b == nil {
		return ""
	}
	return b.logKey.Hash(id)
}

// logKey returns the key of the hashes of IDs, derived from a key of Options.Keys.
func logKey(key []byte) *redact.Key {
	k := redact.Key(credentials.DeriveKey(key, "sessionbridge log ids"))
	return &k
}

// newLogQueue returns the queue for log lines of goroutines that must not wait for a slow
// slog.Handler: those of the pools, of the clock and of the store.
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

// logAside puts a line into the log queue, and doesn't wait.
func (b *Bridge) logAside(line func()) { b.lines.Add(line) }

// logInTime puts a line into the log queue, and waits up to closeGrace until it is written.
func (b *Bridge) logInTime(line func()) { b.lines.AddAndWait(line, closeGrace) }

// defaultLog is the slog.Handler of a Bridge without Options.Logger: that of slog.Default at the
// time of the line, so that a slog.SetDefault after New counts.
type defaultLog struct{}

func (defaultLog) Enabled(ctx context.Context, level slog.Level) bool {
	return slog.Default().Handler().Enabled(ctx, level)
}

func (defaultLog) Handle(ctx context.Context, r slog.Record) error {
	return slog.Default().Handler().Handle(ctx, r)
}

func (defaultLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return slog.Default().Handler().WithAttrs(attrs)
}

func (defaultLog) WithGroup(name string) slog.Handler {
	return slog.Default().Handler().WithGroup(name)
}

// Format implements fmt.Formatter: it prints no field, as they contain keys and values.
func (b *Bridge) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "bridge.Bridge") }
