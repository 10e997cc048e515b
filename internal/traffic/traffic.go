// Package traffic counts the messages in one direction of a connection.
package traffic

import "sync/atomic"

// Traffic is a number of messages, and the bytes in them.
type Traffic struct{ Messages, Bytes uint64 }

// Counter counts messages. It is safe for concurrent use. The zero Counter has counted none.
type Counter struct{ messages, bytes atomic.Uint64 }

// Count counts a message of that many bytes; a negative number is 0.
func (c *Counter) Count(bytes int) {
	c.messages.Add(1)
	c.bytes.Add(uint64(max(0, bytes))) //nolint:gosec // a length
}

// Uncount takes back a Count.
func (c *Counter) Uncount(bytes int) {
	c.messages.Add(^uint64(0))
	c.bytes.Add(-uint64(max(0, bytes))) //nolint:gosec // a length
}

// Read returns what has been counted.
func (c *Counter) Read() Traffic { return Traffic{c.messages.Load(), c.bytes.Load()} }
