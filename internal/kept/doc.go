// Package kept delivers messages that are kept for a time, so that a connection that comes back misses
// none.
//
// The messages for one session or user form a log in a [store.Keeper]; [Memory] is one for a single
// process. A [Reader] is what one connection has seen: of the log of its session, and of that of its
// user. [Hub.Join] makes one from the position with which the connection comes back: it subscribes to
// the logs first, and reads them then, so that no message falls between. From then on, whenever a
// message is announced ([Hub.Announced], [Hub.Poke]), the hub reads the log after what its readers
// have, and each takes what is new to it. So a missed announcement is made up for by the next one,
// and replayed messages and live ones are the same.
//
// A Reader takes messages in order, each once: it knows the number of the last one, and each message
// has the number of the one before it. If these differ, messages are lost, and a [Frame] says so. A
// Reader has a few frames under way only: the log holds the others until these are sent ([Hub.Sent]).
// So a slow connection takes no memory, and a fast one isn't closed because of much that it missed.
//
// A connection gets the messages of the session and the user that it has now, whatever its position
// says. A position ([Frame], docs/sockets.md) only says what has been sent. It has no secret and
// proves nothing.
//
// A Hub has no goroutine of its own, and nothing for connections that have not joined. It is safe for
// concurrent use. It calls an [Owner] under the lock of the Reader, and the store under the turn of a
// log, which other calls for that log wait for until their context ends.
package kept
