// Package wire is the network connection below a WebSocket.
//
// [Conn.Wrap] puts a [Conn] below the connection that a handshake hijacks, so that every byte from
// the client passes through its Read. Conn notes when the client was last heard, whether a read
// waits, and that the connection has ended. It follows the frames (RFC 6455 §5.2) and counts those
// that cost work and bring nothing: pings, pongs that answer no ping, and fragments of less than
// 256 bytes. Beyond the limit of the [Config] it reports the [Owner] once, and drops all later
// bytes.
//
// [Conn.Interrupt] makes a pending read of a message return without harm to the connection: between
// two messages Conn hands its reader an empty message in place of one from the client, and
// [Conn.Interrupted] says so. [Conn.Cut] makes every pending read and write fail.
//
// A Conn has no goroutine and no timer. One goroutine may read; all other methods are safe for
// concurrent use. It calls its Owner under no lock.
package wire
