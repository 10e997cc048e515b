package reporting

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/logqueue"
	"github.com/sessionbridge/sessionbridge/internal/redact"
)

// ErrPanicked is the error of a Failure of a panic. The bridge exports it, hence the prefix.
var ErrPanicked = errors.New("bridge: a function of the application panicked")

// Failure is a failure that no caller receives as an error.
type Failure struct {
	Doing     string // what could not be done, in words for people
	SessionID string // "" where it isn't about one session
	Err       error
}

// Config is what a Reporter needs. Every field but Audit is set.
type Config struct {
	Logger   *slog.Logger
	Audit    *slog.Logger       // of the audit log; nil: it is part of the log
	Key      redact.Key         // of the hashes of IDs
	Go       func(write func()) // runs write in a goroutine
	Emit     func(Failure)      // reports the failure to subscribers; it doesn't block
	Patience time.Duration      // how long FailedInTime and Panicked wait for the log
}

// Reporter reports failures and panics, and writes log lines.
type Reporter struct {
	cfg      Config
	lines    *logqueue.Queue
	refusals refusals
}

// New returns a Reporter.
func New(cfg Config) *Reporter {
	r := &Reporter{cfg: cfg}
	r.lines = logqueue.New(logqueue.Config{
		Go: cfg.Go,
		Dropped: func(lines int) {
			cfg.Logger.Warn("log lines were dropped: the Handler is too slow", slog.Int("lines", lines))
		},
		Panicked: func() { cfg.Emit(Failure{"write a log line: the Handler panicked", "", ErrPanicked}) },
	})
	return r
}

// Failed logs a failure, and reports it to subscribers. Of sessionID it logs the hash; "" is none.
func (r *Reporter) Failed(ctx context.Context, level slog.Level, doing, sessionID string, err error) {
	f := Failure{doing, sessionID, err}
	r.logFailure(ctx, level, &f)
	r.cfg.Emit(f)
}

// FailedAside is Failed for goroutines that must not wait for the log: the line is written later.
func (r *Reporter) FailedAside(ctx context.Context, level slog.Level, doing, sessionID string, err error) {
	f := Failure{doing, sessionID, err}
	r.lines.Add(func() { r.logFailure(ctx, level, &f) })
	r.cfg.Emit(f)
}

// FailedInTime is Failed, but waits for the log for no longer than Config.Patience.
func (r *Reporter) FailedInTime(ctx context.Context, level slog.Level, doing, sessionID string, err error) {
	f := Failure{doing, sessionID, err}
	r.lines.AddAndWait(func() { r.logFailure(ctx, level, &f) }, r.cfg.Patience)
	r.cfg.Emit(f)
}

// StoreFailed is FailedAside for a failure of the store that needs no other answer: there are many
// of these during an outage, so none waits for the log.
func (r *Reporter) StoreFailed(ctx context.Context, doing, sessionID string, err error) {
	r.FailedAside(ctx, slog.LevelWarn, doing, sessionID, err)
}

func (r *Reporter) logFailure(ctx context.Context, level slog.Level, f *Failure) {
	attrs := []slog.Attr{slog.String("doing", f.Doing), slog.Any("error", f.Err)}
	if f.SessionID != "" {
		attrs = append(attrs, r.Session(f.SessionID))
	}
	r.cfg.Logger.LogAttrs(ctx, level, "failed", attrs...)
}

// Panicked reports a panic of the application's code: to the log with its stack, and as a Failure
// with ErrPanicked. The function that has recovered the panic calls it.
func (r *Reporter) Panicked(ctx context.Context, message, doing, sessionID string, value any) {
	var attrs []slog.Attr
	if sessionID != "" {
		attrs = append(attrs, r.Session(sessionID))
	}
	stack := string(debug.Stack())
	r.lines.AddAndWait(func() { LogPanic(ctx, r.cfg.Logger, message, value, stack, attrs...) }, r.cfg.Patience)
	r.cfg.Emit(Failure{doing, sessionID, ErrPanicked})
}

// LogPanic logs a panic with its stack. It uses slog's default logger if the application's discards
// errors: a panic is always logged.
func LogPanic(ctx context.Context, logger *slog.Logger, message string, value any, stack string, attrs ...slog.Attr) {
	if !logger.Enabled(ctx, slog.LevelError) {
		logger = slog.Default()
	}
	attrs = append(attrs, slog.Any("panic", value), slog.String("stack", stack))
	logger.LogAttrs(ctx, slog.LevelError, message, attrs...) //nolint:sloglint // one of a few constants
}

// Aside puts a line into the queue, and doesn't wait.
func (r *Reporter) Aside(ctx context.Context, level slog.Level, message string, attrs ...slog.Attr) {
	r.lines.Add(func() {
		r.cfg.Logger.LogAttrs(ctx, level, message, attrs...) //nolint:sloglint // a constant of each caller
	})
}

// Session and Client are the attributes by which log lines name a session and a client.
func (r *Reporter) Session(id string) slog.Attr { return slog.Any("session", r.cfg.Key.ID(id)) }

// Client is like Session.
func (r *Reporter) Client(id string) slog.Attr { return slog.Any("client", r.cfg.Key.ID(id)) }

// Hash returns the ID as log lines name it; "" for "".
func (r *Reporter) Hash(id string) string { return r.cfg.Key.Hash(id) }
