package bridge

import "sync/atomic"

// Traffic is what has gone one way over a connection.
type Traffic struct {
	Messages, Bytes uint64 // bytes of messages, without what the protocol adds
}

// traffic counts it.
type traffic struct{ messages, bytes atomic.Uint64 }

func (t *traffic) count(bytes int) {
	t.messages.Add(1)
	t.bytes.Add(uint64(bytes)) //nolint:gosec // a length
}

func (t *traffic) read() Traffic { return Traffic{t.messages.Load(), t.bytes.Load()} }
