package closing

import (
	"sync"
	"time"
)

// Func is a function that closes a connection. It is called once at most.
type Func[C any] struct {
	fn func(c C)

	mu       sync.Mutex
	called   bool
	returned bool
	stopped  bool
	done     chan struct{} // closed when fn has returned; nil: no Stop waits for that
}

// NewFunc returns a Func that calls fn.
func NewFunc[C any](fn func(c C)) *Func[C] { return &Func[C]{fn: fn} }

// Call calls the function, unless it has been called or stopped.
func (f *Func[C]) Call(c C) {
	f.mu.Lock()
	skip := f.called || f.stopped
	f.called = true
	f.mu.Unlock()
	if skip {
		return
	}
	defer f.end() // also after a panic
	f.fn(c)
}

func (f *Func[C]) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.returned = true
	if f.done != nil {
		close(f.done)
	}
}

// Stop makes later calls do nothing. It waits for the end of a call that runs or is expected, for
// the limit at most.
func (f *Func[C]) Stop(expected bool, limit time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped || f.returned || !f.called && !expected {
		f.stopped = true
		return
	}
	if f.done == nil {
		f.done = make(chan struct{})
	}
	f.mu.Unlock()
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case <-f.done:
	case <-late.C:
	}
	f.mu.Lock()
	f.stopped = true
}
