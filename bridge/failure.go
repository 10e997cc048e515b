package bridge

import (
	"context"
	"log/slog"
)

// Failure tells of something that failed where no caller of the application's could be told. It is
// the event beside each line "failed" of Options.Logger, and holds what that line does: no token,
// no cookie, no value. A panic of a handler, of a close function or of a hook in Options is one as
// well, with ErrPanicked; the value and the stack are in the log only. The panic of an event
// callback is only logged.
type Failure struct {
	Doing     string // what the Bridge could not do, in words for people; they may change
	SessionID string // "" where it isn't about one session
	Err       error  // test with errors.Is: most often ErrStoreUnavailable
}

func (Failure) event() {}

// OnFailure calls fn after each failure that only the log tells of otherwise.
func (b *Bridge) OnFailure(fn func(Failure)) (off func()) { return on(b.events, fn) }

// failed is the one way to report what nobody is there to be told of: log and event can't say different things.
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

// failedAside is failed for goroutines that others wait for: the event comes at once, the line by itself.
func (b *Bridge) failedAside(ctx context.Context, level slog.Level, f Failure) {
	b.logAside(func() { b.logFailed(ctx, level, &f) })
	b.events.Emit(f)
}

// failedInTime is failedAside, but the line is written before it returns, unless the Handler takes longer than closeGrace.
func (b *Bridge) failedInTime(ctx context.Context, level slog.Level, f Failure) {
	b.logInTime(func() { b.logFailed(ctx, level, &f) })
	b.events.Emit(f)
}

// storeFailed is failed for what the Bridge carries on without. During an outage there are many of these, from everywhere: none waits for the log.
func (b *Bridge) storeFailed(ctx context.Context, doing, id string, err error) {
	b.failedAside(ctx, slog.LevelWarn, Failure{doing, id, err})
}

// tell is failed for what the request's handler has no part in.
func (rq *request) tell(doing string, err error) {
	f := Failure{Doing: doing, Err: err}
	if s := rq.opened(); s != nil {
		f.SessionID = s.id
	}
	rq.b.failed(rq, slog.LevelError, f)
}
