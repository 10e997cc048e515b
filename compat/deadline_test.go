package compat_test

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// deadline is a time limit for requests that passes when the test says so, on however slow a machine.
type deadline struct {
	passed chan struct{}
	pass   func() // may be called more than once
}

func newDeadline() *deadline {
	passed := make(chan struct{})
	return &deadline{passed, sync.OnceFunc(func() { close(passed) })}
}

// limit is http.TimeoutHandler with that limit.
func (d *deadline) limit(h http.Handler) http.Handler {
	limited := http.TimeoutHandler(h, time.Hour, "too slow")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limited.ServeHTTP(w, r.WithContext(limitedContext{r.Context(), d.passed}))
	})
}

// limitedContext is a context whose deadline has passed when passed is closed.
type limitedContext struct {
	context.Context
	passed <-chan struct{}
}

// Done implements context.Context.
func (c limitedContext) Done() <-chan struct{} { return c.passed }

// Err implements context.Context.
func (c limitedContext) Err() error {
	select {
	case <-c.passed:
		return context.DeadlineExceeded
	default:
		return nil
	}
}
