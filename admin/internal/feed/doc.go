// Package feed remembers the last events of a Bridge and sends them to HTTP clients as server-sent
// events, so that a client that comes back goes on where it was.
//
// Each event has a number. The ID of a server-sent event is the feed's name, which is new with each
// process, and that number. A client that was away for longer than the feed remembers, or that was
// at another process, is told so with an event "missed". There is no queue for each client: a slow
// one falls behind in the memory that all share.
package feed
