// Package observed puts a hook around the calls of a store, and of what is found in it with store.As.
package observed

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// Hook is called before each call of the store, with the name of the operation. The store gets the
// context that it returns. end is called when the call has returned.
type Hook func(ctx context.Context, operation string) (inner context.Context, end func(Result))

// Result is the result of a call.
type Result struct {
	Outcome string // one of Outcomes
	Err     error
	// Records is how many elements an iteration has yielded. Took is the time that the call took,
	// for an iteration without that of the loop's body.
	Records int
	Took    time.Duration
}

// Outcomes are the values of Result.Outcome.
func Outcomes() []string {
	return []string{"ok", "not_found", "conflict", "busy", "canceled", "error"}
}

func outcome(ctx context.Context, err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, store.ErrNotFound):
		return "not_found"
	case errors.Is(err, store.ErrConflict):
		return "conflict"
	case errors.Is(err, store.ErrBusy):
		return "busy"
	case errors.Is(err, context.Canceled), errors.Is(ctx.Err(), context.Canceled):
		return "canceled" // by the caller: no failure of the store
	}
	return "error"
}

// Store is a store.Store with a Hook around another one. It has the capabilities of the other one;
// store.As finds them.
type Store struct {
	inner store.Store
	hook  Hook
}

// New returns a Store around inner.
func New(inner store.Store, hook Hook) *Store { return &Store{inner, hook} }

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, id string) (store.Record, error) {
	return call(ctx, s, "get", func(ctx context.Context) (store.Record, error) { return s.inner.Get(ctx, id) })
}

// Set implements store.Store.
func (s *Store) Set(ctx context.Context, rec store.Record) (uint64, error) {
	return call(ctx, s, "set", func(ctx context.Context) (uint64, error) { return s.inner.Set(ctx, rec) })
}

// Destroy implements store.Store.
func (s *Store) Destroy(ctx context.Context, id string) (bool, error) {
	return call(ctx, s, "destroy", func(ctx context.Context) (bool, error) { return s.inner.Destroy(ctx, id) })
}

func call[T any](
	ctx context.Context, s *Store, operation string, fn func(context.Context) (T, error),
) (T, error) {
	inner, end := s.hook(ctx, operation)
	began := time.Now()
	result, err := fn(inner)
	end(Result{Outcome: outcome(ctx, err), Err: err, Took: time.Since(began)})
	return result, err
}

// try is call for a function that returns an error only.
func try(ctx context.Context, s *Store, operation string, fn func(context.Context) error) error {
	_, err := call(ctx, s, operation, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

// each is call for an iteration. It begins when the loop does.
func each[T any](
	ctx context.Context, s *Store, operation string, list func(context.Context) iter.Seq2[T, error],
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		inner, end := s.hook(ctx, operation)
		var r Result
		began, body := time.Now(), time.Duration(0)
		defer func() {
			r.Outcome, r.Took = outcome(ctx, r.Err), time.Since(began)-body
			end(r)
		}()
		for element, err := range list(inner) {
			if r.Err = err; err == nil {
				r.Records++
			}
			left := time.Now()
			more := yield(element, err)
			body += time.Since(left)
			if !more {
				return
			}
		}
	}
}
