// Package codec defines how sessions are represented in Redis: a record as the value of a string
// key, IDs as members of the indexes and parts of key names, users and clients as scores of their
// indexes.
//
// The representation is fixed, because several processes and later versions of this module share
// it. Changing it requires a new Format.
//
// The package does no I/O and holds no state. The Lua scripts of package scripts read and modify
// the head of a value, so both must agree on its layout.
package codec
