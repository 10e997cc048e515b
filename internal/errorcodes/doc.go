// Package errorcodes says what an error means to a client: the status of an HTTP response
// ([Status]), the close code of a connection ([CloseCode]), the text for people ([Text]), and
// whether the client has caused it ([CausedByClient]).
//
// One table has the answers to all errors of the Bridge. An error that matches several of its rows,
// because it wraps several errors, gets each answer from the first row that has one. The answers
// don't depend on the text of an error, which may contain internals.
package errorcodes
