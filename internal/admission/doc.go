// Package admission protects a process from clients that connect all at once: after a deploy, or an
// outage.
//
// A [Gate] bounds how many handshakes are under way, and how many come in a second. A client that
// it refuses is told when to try again: [Gate.RetryAfter] spreads the refused ones over a span that
// grows with the overload. [Gate.ReturnAfter] does the same for clients whose connections are
// closed together, and [Drain] closes connections in batches, spread over a given time.
//
// No call leaves a goroutine or a timer. A Gate is safe for concurrent use.
package admission
