// Package outbox queues messages for connections and sends them.
//
// Each connection has a [Queue]. Its zero value refuses messages; [Queue.Open] gives it a limit, an
// [Overflow] policy and the function that writes one message. [Queue.Offer] never blocks: it
// returns the [Outcome], and adds a queue that needs a worker to a [Batch]. [Sender.Wake] hands the
// batch to the workers, which send the messages of one queue one at a time, in the order of Offer.
//
// A [Sender] has no goroutine while no message waits, and about GOMAXPROCS of them otherwise. A
// write that blocks for longer than 5 ms delays only its own queue: another worker takes the place
// of the blocked one. An error, a panic or a runtime.Goexit in the write function closes its queue
// and drops its messages.
//
// [Sender.Flush] ends a queue: it sends the waiting messages and a [Final] one, which may still be
// being composed, until its context ends. No message follows the final one.
//
// A message is shared by all queues that hold it. Nothing in this package copies or changes its
// data. The types are safe for concurrent use, except for Batch. No write function is called under
// a lock.
package outbox
