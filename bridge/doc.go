// Package bridge shares one session between net/http handlers and WebSocket connections.
//
// A [Bridge] is made once, from a store. Its Handler wraps the application's handlers: it verifies
// a signed client cookie and a signed session cookie, and stores the changes of a request before
// the first byte of the response is sent. Its WebSocket handler gives each connection a [Conn] that
// works on the same session.
//
// A [Session] is loaded when it is first used. It collects changes, key by key, relative to what
// was loaded; a commit merges them into what is stored then; its last commit seals it. Session(r)
// gives a request its own view of the session. WithSession, on a request or a connection, runs a
// function while no other one runs on the same session, and stores the changes when it returns.
// Destroy ends a session for good, on every node, at once.
package bridge

// The files, in the order in which a request and then a message meet them. docs/architecture.md has
// the packages below this one, and the order of the locks.
//
// The application makes a Bridge:
//
//	options.go        Options and policies
//	policynames.go    the policies as text
//	settings.go       the defaults and ranges of Options, and what follows from them for a request
//	credentials.go    keys, tokens of clients without cookies, and sessions without a request
//	new.go            New, which makes the parts of a Bridge; Shutdown, and options while running
//	bridge.go         Bridge and its counters; the effects of a commit, an end and a rejection
//
// A request arrives:
//
//	middleware.go     Handler: the stages of a request, and the first byte of its response
//	request.go        the state of a request, which is also its context
//	http.go           Session(r) and WithSession(r); WithSession for functions with a result
//	open.go           opens the session that the credentials name, imports one, or makes a new one
//	import.go         continues a session of another library
//	session.go        Session and its values; the record of a new one, and copies
//	key.go            typed keys
//	auth.go           Login, Rotate, Logout, RequireAuthAge
//	gorilla.go        the session for code written against gorilla/sessions
//	transaction.go    runs a function of WithSession, again after a conflict
//	commit.go         has changes checked, stores them, ends sessions, renews tokens
//	errorcodes.go     errors with their statuses and close codes, and why there is no session
//	erroranswer.go    the response if a request is refused or its commit fails
//
// A request becomes a connection, and messages arrive:
//
//	connoptions.go    ConnOptions and their defaults
//	websocket.go      the handshake, and the goroutine of the connection's handler
//	ticket.go         tickets: handshakes without cookies, and logins over a connection
//	attach.go         registers a connection of any library, or one that another program holds
//	ratelimits.go     how often handshakes, messages and sessions may begin; audit lines about limits
//	registry.go       the registry of connections, and what keeps it in step with the store
//	link.go           Link: a connection of any library
//	conn.go           Conn: a Link with a WebSocket
//	messages.go       runs a function of WithSession for each message, and sends its replies
//	perconnection.go  a Session for the life of a connection
//	notify.go         messages from the application to connections, in queues
//	kept.go           messages that are kept for clients that come back
//	presence.go       which users are online
//	linkend.go        the close of a connection, or of all, and the last message
//
// The application and other nodes observe and change sessions and connections:
//
//	events.go         the events
//	observe.go        subscriptions to events, and their order
//	byid.go           sessions by their ID or their client
//	users.go          the sessions of a user, and all sessions
//	conns.go          lists and closes connections on every node, and lists the nodes
//	cleanup.go        removes expired sessions
