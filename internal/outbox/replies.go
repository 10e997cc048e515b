package outbox

import (
	"errors"
	"sync"
)

// Replies are what one run of a function wants to be sent after it: messages to the client, and
// notices of type N to others. They may be added concurrently until the run is over. The zero
// Replies are empty.
type Replies[N any] struct {
	mu       sync.Mutex
	messages []*Message
	notices  []N
	closed   bool
}

// Errors of Reply and Notify. The bridge returns them, hence the prefix.
var (
	errNoReply    = errors.New("bridge: Reply or Notify after the function for the message has returned")
	errNoMessages = errors.New("bridge: Reply or Notify of a Message that doesn't come from Bridge.Messages: " +
		"a test calls the function with bridgetest.Handle")
)

// Reply adds a message. It returns an error after Close, and for nil Replies: the application has
// made the message itself.
func (r *Replies[N]) Reply(m *Message) error {
	return r.add(func() { r.messages = append(r.messages, m) })
}

// Notify adds a notice. The errors are those of Reply.
func (r *Replies[N]) Notify(n N) error {
	return r.add(func() { r.notices = append(r.notices, n) })
}

func (r *Replies[N]) add(add func()) error {
	if r == nil {
		return errNoMessages
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errNoReply
	}
	add()
	return nil
}

// Close ends the run: nothing can be added any more.
func (r *Replies[N]) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}

// All returns what was added, in order. It must be called after Close only.
func (r *Replies[N]) All() (messages []*Message, notices []N) { return r.messages, r.notices }
