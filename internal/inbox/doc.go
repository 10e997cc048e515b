// Package inbox reads a WebSocket connection while its handler doesn't.
//
// A connection must be read all the time, or pings get no answer and its end stays unknown. An
// [Inbox] knows who reads: the handler, which calls [Inbox.Enter] before its read and [Inbox.Leave]
// after it, or the inbox itself, in a goroutine that [Inbox.Watch] starts. The messages that the
// inbox has read wait for the handler's next Enter, in their order, up to 64 KiB with 64 bytes
// added for each; then the inbox stops reading, and the client has to wait.
//
// An Enter interrupts the inbox's own read, and waits for its end, before the handler reads. So two
// reads are never pending at once, and no message is lost or overtaken between them.
//
// A [Watchlist] holds the connections whose handler may have stopped reading, and starts their
// Watch half a second later at most. It costs one planned call, however many connections it holds,
// and a connection whose handler reads is not on it.
//
// All types are safe for concurrent use. A [Source] is called under the Inbox's lock only for
// Interrupt and EndInterrupt, which must not block.
package inbox
