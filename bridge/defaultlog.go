package bridge

import (
	"context"
	"log/slog"
)

// defaultLog is the slog.Handler of a Bridge without Options.Logger: whatever slog.Default returns when a line is logged, so that a slog.SetDefault that comes after
// New counts.
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
