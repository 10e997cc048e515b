// Package socket is a WebSocket connection of a server that looks after itself.
//
// [Conn.Accept] upgrades a request. Once [Conn.Start] was called, the connection is read also while
// its handler doesn't read (package inbox), so that pings are answered and its end is noticed. A
// client that has been silent is sent a ping, and is cut off if nothing comes back; a write that
// takes too long cuts the connection; idleness, age and a client that sends too fast are reported
// to the [Owner], which closes the connection with [Conn.Close].
//
// A Conn has no goroutine but while it reads in the handler's place or waits for a pong, and no
// timer: the connections of a process share a [Runtime].
//
// The Owner is told of everything by calls that must not block. None is made under a lock of this
// package, except that a connection's context may be asked for.
//
// All methods are safe for concurrent use, but for one Read at a time; Accept and Start come before
// the others.
package socket
