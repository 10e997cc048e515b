// Package clientmap is the in-memory map between clients and sessions, in both directions. A client
// may have several sessions; the map has its newest, and the client of each.
//
// It has the sessions that this process has seen in use and not yet seen end, up to a limit: when a
// session is added to a full map, one that has not been used for long is dropped. Reads are counted
// for each session; this keeps it in the map and is shown in statistics.
//
// The map also has the last known login of each session, so that a login by another process is
// noticed once, and the user of a session is known when it has ended.
//
// Lookups run concurrently with each other. No method waits for anything but the map's lock.
package clientmap
