package pubsub

import "sync/atomic"

// consumer calls a callback with the events of its queue.
type consumer[E any] struct {
	subscriber *subscriber[E]
	events     <-chan E // of the subscriber, also when that is closed
	fn         func(E)
	off        atomic.Bool // fn is not called any more
}

// start runs the consumer in a goroutine, and in another one if the callback ends that with
// runtime.Goexit, as a test's FailNow does.
func (c *consumer[E]) start() {
	hub := c.subscriber.hub
	hub.running.Go(func() {
		returned := false
		defer func() {
			if !returned {
				hub.config.Exited()
				c.start()
			}
		}()
		c.run()
		returned = true
	})
}

func (c *consumer[E]) run() {
	for ev := range c.events {
		c.call(ev)
		if missed, ok := c.subscriber.takeMissed(c.events); ok {
			c.call(missed)
		}
	}
}

// call calls the callback. A panic is recovered and reported.
func (c *consumer[E]) call(ev E) {
	if c.off.Load() {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			c.subscriber.hub.config.Panicked(ev, p)
		}
	}()
	c.fn(ev)
}
