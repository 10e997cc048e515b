package closing

import (
	"context"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clock"
)

// State has the close of one connection. With Cancel set, the connection is open. It must not be
// copied.
type State[C any] struct {
	// Cancel ends the connection's context. It is set before the first call of Begin, which calls
	// it under the lock of the State.
	Cancel context.CancelCauseFunc

	mu      sync.Mutex
	begun   *C
	pending *postponed[C]
	timer   *clock.Deadline // of pending
}

type postponed[C any] struct {
	close  C
	atRead bool // it may be done at the handler's next read
}

// Begin makes the caller the one who closes the connection, and ends its context with the cause;
// false if another caller was first.
func (s *State[C]) Begin(clock *clock.Clock, c C, cause error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun != nil {
		return false
	}
	s.begun = &c
	clock.Remove(s.timer)
	s.Cancel(cause)
	return true
}

// Begun reports whether the connection is closed or being closed.
func (s *State[C]) Begun() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun != nil
}

// Postpone makes c the pending close, and has perform called after the grace, unless another close
// is pending or has begun. With atRead it may also be done at the handler's next read.
func (s *State[C]) Postpone(clock *clock.Clock, c C, atRead bool, grace time.Duration, perform func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun == nil && s.pending == nil {
		s.pending = &postponed[C]{c, atRead}
		s.timer = clock.Add(time.Now().Add(grace), perform)
	}
}

// Pending returns the close that was postponed; atRead asks for one that may be done at a read.
func (s *State[C]) Pending(atRead bool) (c C, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending == nil || atRead && !s.pending.atRead {
		return c, false
	}
	return s.pending.close, true
}

// Finish returns the close that has begun. If there is none, it begins c and returns it.
func (s *State[C]) Finish(clock *clock.Clock, c C, cause error) C {
	if s.Begin(clock, c, cause) {
		return c
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.begun
}
