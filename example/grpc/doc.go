// Package grpcsession gives gRPC handlers the session of their caller. It is an example to copy:
// two interceptors over the calls for sessions without an HTTP request, Bridge.Open and
// Bridge.WithCredentials.
//
// A client sends its token in the metadata "session-token" of each call, and gets a new one in the
// header of the answer to its login. A call without a token is that of a guest without a session; a
// token that opens nothing is answered with Unauthenticated. Use TLS: a program that has the token
// can use the session.
package grpcsession
