package bridge

import (
	"context"
	"log/slog"
	"runtime/debug"
)

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
