// Package bridge shares one session between net/http handlers and WebSocket connections.
//
// A [Bridge] is made once, from a store. Its Handler wraps the application's handlers: it verifies
// a signed client cookie and a signed session cookie on the way in, and stores what a request
// changed before the first byte of the answer leaves. Its WebSocket handler gives each connection a
// [Conn] that works on the same session.
//
// A [Session] lives so: it is loaded when somebody first asks for it; it collects changes, key by
// key, against what was loaded; a commit merges them into what is stored by then; at its last
// commit it is sealed. Session(r) gives a request its own view of the session; WithSession, on a
// request or a connection, runs a function while nobody else runs one on the same session, and
// stores the result when it returns. Destroy ends a session for good, everywhere, at once.
package bridge
