package bridge

import "context"

// Sessioner is what WithSession works on: a *Conn, a *Link, or a request's For.
type Sessioner interface {
	WithSession(
		ctx context.Context, fn func(ctx context.Context, s *Session) error, onMissing func(context.Context) error,
	) error
}

// The functions of WithSession.
type (
	sessionFunc = func(ctx context.Context, s *Session) error
	missingFunc = func(ctx context.Context) error
)

// WithSession is on.WithSession for functions that return a value.
//
// onMissing is called when there is no session. Nil gives ErrSessionMissing on a connection, and
// creates the session over HTTP; Missing gives an error of yours, Fallback a value.
func WithSession[T any](
	ctx context.Context, on Sessioner,
	fn func(context.Context, *Session) (T, error), onMissing func(context.Context) (T, error),
) (T, error) {
	var result T
	var missing missingFunc
	if onMissing != nil {
		missing = func(ctx context.Context) (err error) {
			result, err = onMissing(ctx)
			return err
		}
	}
	err := on.WithSession(ctx, func(ctx context.Context, s *Session) (err error) {
		result, err = fn(ctx, s)
		return err
	}, missing)
	if err != nil {
		var none T
		return none, err
	}
	return result, nil
}

// MissingErr returns an onMissing that returns err.
func MissingErr(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

// Missing returns an onMissing for functions that return a value: it returns err.
func Missing[T any](err error) func(context.Context) (T, error) {
	return func(context.Context) (T, error) {
		var none T
		return none, err
	}
}

// Fallback returns an onMissing for functions that return a value: it returns v.
func Fallback[T any](v T) func(context.Context) (T, error) {
	return func(context.Context) (T, error) { return v, nil }
}

func missing(ctx context.Context, onMissing missingFunc) error {
	if onMissing == nil {
		return ErrSessionMissing
	}
	return onMissing(ctx)
}
