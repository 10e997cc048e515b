package main

import (
	"runtime"
	"sync"
)

// committer lets many goroutines share one costly step: whoever waits when it begins is in it.
type committer[T any] struct {
	commit func([]T) error // of one goroutine, with at least one

	mu      sync.Mutex
	waiting []T
	waiters []chan error
	wake    chan struct{} // holds one while somebody waits
	replies sync.Pool
	ended   chan struct{}
}

func newCommitter[T any](commit func([]T) error) *committer[T] {
	c := &committer[T]{commit: commit, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	c.replies.New = func() any { return make(chan error, 1) }
	go c.work()
	return c
}

// do returns when a step that op was in has ended, and what it has returned.
func (c *committer[T]) do(op T) error {
	reply := c.replies.Get().(chan error)
	c.mu.Lock()
	c.waiting, c.waiters = append(c.waiting, op), append(c.waiters, reply)
	if len(c.waiting) == 1 {
		c.wake <- struct{}{}
	}
	c.mu.Unlock()
	err := <-reply
	c.replies.Put(reply)
	return err
}

// work yields once after the first has come, so that those who were just answered can come along.
func (c *committer[T]) work() {
	defer close(c.ended)
	var ops []T
	var waiters []chan error
	for range c.wake {
		runtime.Gosched()
		c.mu.Lock()
		ops, c.waiting = c.waiting, ops[:0]
		waiters, c.waiters = c.waiters, waiters[:0]
		c.mu.Unlock()
		err := c.commit(ops)
		for _, reply := range waiters {
			reply <- err
		}
	}
}

// close ends the committer. Nobody may be waiting, or come.
func (c *committer[T]) close() {
	close(c.wake)
	<-c.ended
}
