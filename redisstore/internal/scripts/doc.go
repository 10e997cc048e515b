// Package scripts has the Lua scripts of the store and executes them.
//
// A script operates on one shard, whose keys are in one hash slot, and is atomic: it compares the
// revision, changes the session, its index entries and times to live, and delivers the change to
// the nodes that hold the session. Scripts are executed by their hash; a server that does not know
// the hash has not executed anything, so the full source can be sent without repeating a change.
//
// The sources are in lua/. Each script is the concatenation of a flags line, shared parts and its
// own part. The layout of values is that of package codec.
package scripts
