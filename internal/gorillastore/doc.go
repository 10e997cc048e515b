// Package gorillastore is a sessions.Store of gorilla/sessions over the session of a request.
//
// Each session name is a [gorillacodec.Space] within that session. Save merges: it stores, key by
// key, the code's changes since the session was read. The changes of a Save that failed may be
// stored nevertheless: the next one reads the session again and stores the values as they are then.
// The store logs, once each, the cookie options that it ignores and the use of a name that isn't
// the main one.
package gorillastore
