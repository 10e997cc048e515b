// Package admin is a REST API over a [bridge.Bridge], for application servers in other languages
// and for operators: JSON over HTTP, described by an OpenAPI 3.1 document that it serves.
//
// [Handler] serves one or several Bridges, each as an app with routes below /v1/{app}. A request
// shows its key as a bearer token; a [Key] has a name, a scope and the apps that it is for. Without
// keys the API answers requests from this machine only, and no web page. [ListenAndServe] serves it
// on an address of its own. Each change is logged, with the name of the key.
//
// GET /v1/{app}/auth is for proxies that ask before they pass a request on (forward
// authentication): a backend that knows nothing of sessions gets session and user in headers; see
// [ForwardAuth].
//
// The package uses the public API of bridge only. docs/admin.md describes the routes,
// docs/forward-auth.md the configuration of proxies.
package admin

// The files, in the order in which a request meets them:
//
//	options.go        Options, Key, Scope, ForwardAuth, and what is valid
//	serve.go          ListenAndServe
//	handler.go        Handler: the stages of a request
//	guard.go          who may ask: keys, and requests of this machine
//	limits.go         how often
//	routes.go         the table of routes
//	call.go           one call: its input and its answer
//	problem.go        errors as problem details
//	audit.go          the log of changes
//	input.go          what several routes read: users, times, filters
//	output.go         sessions and connections as JSON; streams
//	revision.go       ETag and If-Match
//	credentials.go    create, resolve, login, rotate, logout
//	session.go        one session by its ID
//	listing.go        lists of sessions, in pages
//	bulk.go           ends of many sessions
//	conns.go          connections, messages to them, and who is connected
//	status.go         ping, stats, health, activity, apps
//	forwardauth.go    the question of a proxy
//	openapi.go        the document, openapi.json
