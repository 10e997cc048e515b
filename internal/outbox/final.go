package outbox

import "context"

// Final is the last message of connections that are being closed. It is composed while they begin
// to close.
type Final struct {
	composed chan struct{} // closed when m is set
	m        *Message      // nil: none
}

// Compose runs compose in a goroutine, and returns a Final that will have its message: none if
// compose returns nil, panics or ends its goroutine.
func (s *Sender) Compose(compose func() *Message) *Final {
	f := &Final{composed: make(chan struct{})}
	s.group.Go(func() {
		defer close(f.composed)
		f.m = compose()
	})
	return f
}

// wait returns the message; nil if there is none, or ctx ends first.
func (f *Final) wait(ctx context.Context) *Message {
	select {
	case <-f.composed:
		return f.m
	case <-ctx.Done():
		return nil
	}
}

// Flush closes the queue and sends the messages that wait, then the final one; nil is none. It
// returns when they have been sent or dropped, or ctx ends.
func (s *Sender) Flush(ctx context.Context, q *Queue, final *Final) {
	var last *Message
	if final != nil {
		last = final.wait(ctx)
	}
	drained, wake := q.finish(last)
	if wake {
		s.Wake(&Batch{q, q})
	}
	if drained == nil {
		return
	}
	select {
	case <-drained:
	case <-ctx.Done():
	}
}
