package reporting

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"github.com/sessionbridge/sessionbridge/internal/allowance"
)

// Subject is whom a line of the audit log is about. Empty fields are left out of the line. IDs are
// logged as keyed hashes; Addr is logged as it is.
type Subject struct {
	SessionID, ClientID, UserID string
	Addr, Via                   string
}

// appendTo appends the attributes of the Subject.
func (s *Subject) appendTo(attrs []slog.Attr, r *Reporter) []slog.Attr {
	for _, id := range [...]struct{ name, id string }{
		{"session", s.SessionID}, {"client", s.ClientID}, {"user", s.UserID},
	} {
		if id.id != "" {
			attrs = append(attrs, slog.Any(id.name, r.cfg.Key.ID(id.id)))
		}
	}
	for _, text := range [...]struct{ name, text string }{{"addr", s.Addr}, {"via", s.Via}} {
		if text.text != "" {
			attrs = append(attrs, slog.String(text.name, text.text))
		}
	}
	return attrs
}

// Audit writes a line of the audit log, of level Info or Warn. Without an audit log of its own it
// goes to the Logger, an Info line at Debug.
func (r *Reporter) Audit(ctx context.Context, level slog.Level, message string, s Subject, more ...slog.Attr) {
	logger, level := r.auditTo(level)
	if !logger.Enabled(ctx, level) {
		return
	}
	attrs := append(s.appendTo(make([]slog.Attr, 0, 5+len(more)), r), more...)
	logger.LogAttrs(ctx, level, message, attrs...) //nolint:sloglint // a constant of each caller
}

// auditTo returns the logger of the audit log, and the level of its lines there.
func (r *Reporter) auditTo(level slog.Level) (*slog.Logger, slog.Level) {
	switch {
	case r.cfg.Audit != nil:
		return r.cfg.Audit, level
	case level < slog.LevelWarn:
		return r.cfg.Logger, slog.LevelDebug
	}
	return r.cfg.Logger, level
}

// How many lines of one kind a client without a credential can cause.
const (
	refusalsPerSecond = 20
	refusalsAtOnce    = 100
)

// refusals limits the lines that any client can cause at any rate. The kinds are constants of the
// program.
type refusals struct {
	mu     sync.Mutex
	byKind map[string]*refusalLines
}

type refusalLines struct {
	pace       *allowance.Pace
	suppressed uint64 // since the last line
}

// allow reports whether a line of the kind may be written, and how many were suppressed before it.
func (f *refusals) allow(kind string) (suppressed uint64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	lines := f.byKind[kind]
	if lines == nil {
		if f.byKind == nil {
			f.byKind = make(map[string]*refusalLines)
		}
		lines = &refusalLines{pace: allowance.NewPace(refusalsPerSecond, refusalsAtOnce)}
		f.byKind[kind] = lines
	}
	if !lines.pace.Allow() {
		lines.suppressed++
		return 0, false
	}
	suppressed, lines.suppressed = lines.suppressed, 0
	return suppressed, true
}

// AuditRefusal is Audit for what any client can cause at any rate. Lines of the same message, or
// the same kind if that isn't "", are limited; the next line says how many were suppressed.
func (r *Reporter) AuditRefusal(
	ctx context.Context, level slog.Level, message, kind string, s Subject, more ...slog.Attr,
) {
	if logger, level := r.auditTo(level); !logger.Enabled(ctx, level) {
		return
	}
	suppressed, ok := r.refusals.allow(message + kind)
	if !ok {
		return
	}
	if suppressed > 0 {
		more = append(slices.Clip(more), slog.Uint64("suppressed", suppressed))
	}
	r.Audit(ctx, level, message, s, more...)
}

// LimitExceeded reports a limit that has refused something: an option and its value.
func (r *Reporter) LimitExceeded(ctx context.Context, limit, value string, s Subject) {
	r.AuditRefusal(ctx, slog.LevelWarn, "limit exceeded", limit, s,
		slog.String("limit", limit), slog.String("value", value))
}
