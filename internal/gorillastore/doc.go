// Package gorillastore is a sessions.Store of gorilla/sessions over the session of a request.
//
// Each session name is a [gorillacodec.Space] within that session. Save merges: it stores what the
// code has changed since it read the session, key by key. After a Save that failed, whose changes
// may be stored nevertheless, the next one reads the session again and stores the values as they
// are then. The store logs once what it can't do for the code: options of the cookie, and names
// that aren't the main one.
package gorillastore
