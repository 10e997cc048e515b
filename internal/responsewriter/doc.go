// Package responsewriter wraps an http.ResponseWriter so that something happens before the first
// byte of a response leaves, whichever way it leaves: by WriteHeader, Write, ReadFrom, Flush or
// Hijack, called directly or through an http.ResponseController.
//
// Wrap keeps the optional interfaces of the writer below it. Expose adds those that are only
// reachable through Unwrap, which would bypass a wrapper. A handler can still write to a writer
// below the wrapped one, if another middleware has kept that: Begun detects this where the
// framework's writer tells.
//
// Upgrade is the writer for a library that upgrades a connection: it withholds the library's error
// answers and can put something between the library and the hijacked connection.
package responsewriter
