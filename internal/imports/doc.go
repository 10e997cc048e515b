// Package imports lets each session of another library become a session of the Bridge once.
//
// [Source.Read] loads a session of another library, and says what of it is taken over. It is named
// by a secret, its key. [Derive] makes from it the ID and the
// token of the session that it becomes, so that requests that import it at the same time, or again
// because a response was lost, get the same session. [Claims] keeps a record for each key that has
// been imported, for [Keep]: when the imported session has ended, its key imports no other one.
// [Claims.Import] does all of it.
//
// The package promises that of all callers of [Claims.Begin] for one ID, in all processes, at most
// one imports, unless it has called [Claims.Abort]. If the process of that one ends before
// [Claims.Finish], the session is never imported again: it may have been stored, and have ended.
// After [Claims.Exclude] no one imports it. [Requests] finds what else a request presents, for a
// logout.
//
// The records are kept in a namespace of the store, apart from sessions. Nothing in them is a
// secret.
package imports
