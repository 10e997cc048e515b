// Package sessionproxy is a reverse proxy that gives sessions to a backend that has none.
//
// The Proxy is a middleware of a Bridge around a reverse proxy. A request opens its session, and
// goes to the backend with the session and its user in headers, which no client can forge. The
// backend's answer may log a user in or out, or change values of the session, also with headers, if
// the Proxy trusts it. A WebSocket is relayed message by message, so that the Bridge can close it
// when its session ends; an event stream is cut then.
//
// The files, in the order in which a request meets them:
//
//	proxy.go      Options, New, and whether a request may pass
//	exchange.go   one request to the backend and its answer
//	headers.go    which headers and cookies pass
//	orders.go     what a trusted backend says about the session
//	stream.go     event streams
//	socket.go     WebSockets: the two handshakes
//	relay.go      WebSockets: messages and closes
package sessionproxy
