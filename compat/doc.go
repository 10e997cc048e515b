// Package compat tests that the middleware gets along with the rest of the net/http world:
// WebSocket libraries that know nothing of it, streaming, proxies, other wrappers of the
// ResponseWriter, HTTP/2, gorilla/sessions. Everything runs through real servers.
//
// It is a module of its own, so that the libraries it tries aren't dependencies of an application.
package compat
