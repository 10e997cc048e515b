// Package socket is the server's end of a WebSocket connection, with pings and limits.
//
// [Conn.Accept] upgrades a request. After [Conn.Start] the connection is read even while its
// handler doesn't read (package inbox), so that pings are answered and its end is noticed. A silent
// client is sent a ping, and is cut off if it doesn't answer; a write that takes too long cuts the
// connection; idleness, age, and a client that sends too fast or no first message are reported to the
// [Owner], which closes the connection with [Conn.Close].
//
// A Conn has a goroutine only while it reads in the handler's place or waits for a pong, and no
// timer: the connections of a process share a [Runtime].
//
// The Owner's methods must not block. None is called under a lock of this package, except Context.
//
// All methods are safe for concurrent use, except that only one Read may run at a time; Accept and
// Start come before the others.
package socket
