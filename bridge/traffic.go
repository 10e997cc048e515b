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
	t.bytes.Add(uint64(max(0, bytes))) //nolint:gosec // a length
}

// Received counts a message that has come from the client, of so many bytes, for ConnInfo and ConnClose. It is activity of the client: see Active. A Conn does it for each message that it reads.
func (l *Link) Received(bytes int) {
	l.received.count(bytes)
	l.Active()
}

// Sent counts a message that has been sent to the client, of so many bytes. Those of OnNotify are counted already, and a Conn counts what it writes.
func (l *Link) Sent(bytes int) { l.sent.count(bytes) }

func (t *traffic) read() Traffic { return Traffic{t.messages.Load(), t.bytes.Load()} }
