// Package pubsub hands events to subscribers without ever waiting for one.
//
// Each subscriber has a bounded queue. It receives the events that it wants in the order in which
// they were emitted; those that find its queue full are dropped and counted. The first event that
// fits again comes behind one that says how many were dropped (Config.Missed).
//
// Events that any client can cause are confined: they take at most a quarter of a queue, so that
// they don't displace others, and are counted separately.
//
// A subscriber is a callback, which runs in a goroutine of its own, or a channel. Close ends all
// subscriptions: events that are in the queues are still delivered, then channels are closed and
// callbacks' goroutines end.
package pubsub
