package bridge

import (
	"sync"
	"time"
)

// Detach ends the link: whatever it stood for is over. It must be called when the handler ends, and may be called again.
//
// A close of the session's that has begun, or waits for the handler to answer, is finished first: what waits to be sent is, then the close function is called. That
// takes two seconds at most, so that a handler may return as soon as the link's context ends and its client is still told why. Without
// one, what waits to be sent is dropped.
//
// Afterwards neither the close function is called any more nor those that OnNotify and Heartbeat were given. Detach waits for the latter: it is not to be called from there. Called from the close
// function it waits the two seconds for nothing.
func (l *Link) Detach() {
	l.endPending()
	if done := l.closer.wanted(l.isEnding()); done != nil {
		awaitClose(done)
		l.closer.stop()
	} else {
		awaitClose(l.closer.stop()) // of one that has begun since
	}
	l.abandon()
}

// awaitClose waits for the end of a close, nil being none, or until that takes too long.
func awaitClose(done <-chan struct{}) {
	if done == nil {
		return
	}
	late := time.NewTimer(2 * closeGrace) // one for what waits to be sent, one for the close frame
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
	}
}

// abandon drops the waiting messages and unregisters the link. For a link of Attach it waits for a
// send function that is running; the write of a Conn ends when the Conn is closed, afterwards.
func (l *Link) abandon() {
	l.queue.Close()
	l.detach(codeClosedByPeer, "")
	if sent := l.queue.Drained(); sent != nil && l.closer != nil {
		<-sent
	}
	l.stopHeart()
}

// isEnding reports whether somebody closes the link, or has.
func (l *Link) isEnding() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ending != nil
}

// closer is the close function that Attach was given. It is called once at most, and never after stop.
type closer struct {
	fn func(code int, reason string)

	mu      sync.Mutex
	done    chan struct{} // closed when fn has returned; made for who waits for that
	called  bool
	ended   bool // fn has returned
	stopped bool
}

func newCloser(fn func(code int, reason string)) *closer {
	return &closer{fn: fn}
}

// call is what closes the link.
func (c *closer) call(code int, reason string) {
	c.mu.Lock()
	skip := c.called || c.stopped
	c.called = true
	c.mu.Unlock()
	if skip {
		return
	}
	defer c.end()
	c.fn(code, reason)
}

func (c *closer) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.done != nil {
		close(c.done)
	}
}

// wanted returns what to wait for if a close has begun, as ending says, and isn't at its end; nil: nothing.
func (c *closer) wanted(ending bool) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !ending || c.stopped {
		return nil
	}
	return c.untilEnd()
}

// stop sees to it that fn doesn't begin to run any more. It returns what to wait for if fn was called before, and still runs; nil: nothing, or it isn't the first stop.
func (c *closer) stop() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := !c.stopped
	c.stopped = true
	if !first || !c.called {
		return nil
	}
	return c.untilEnd()
}

// untilEnd needs the lock.
func (c *closer) untilEnd() <-chan struct{} {
	if c.ended {
		return nil
	}
	if c.done == nil {
		c.done = make(chan struct{})
	}
	return c.done
}
