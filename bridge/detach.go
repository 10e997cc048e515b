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
// Afterwards neither the close function is called any more nor the one that OnNotify was given. Detach waits for the latter: it is not to be called from there. Called from the close
// function it waits the two seconds for nothing.
func (l *Link) Detach() {
	l.endPending()
	if patience := 2 * closeGrace; l.closer.wanted(l.isEnding()) { // one for what waits to be sent, one for the close frame
		l.closer.wait(patience)
		l.closer.stop()
	} else if l.closer.stop() { // it has begun since
		l.closer.wait(patience)
	}
	l.abandon()
}

// abandon drops what waits to be sent, and takes the link out.
func (l *Link) abandon() {
	l.box.drop()
	l.detach(codeClosedByPeer, "")
	if sent, _ := l.box.finish(nil); sent != nil {
		<-sent
	}
}

// isEnding reports whether somebody closes the link, or has.
func (l *Link) isEnding() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ending.code != codeNone
}

// closer is the close function that Attach was given. It is called once at most, and never after stop.
type closer struct {
	fn   func(code int, reason string)
	done chan struct{} // closed when fn has returned, or is not to be called any more

	mu      sync.Mutex
	called  bool
	stopped bool
}

func newCloser(fn func(code int, reason string)) *closer {
	return &closer{fn: fn, done: make(chan struct{})}
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
	defer close(c.done)
	c.fn(code, reason)
}

// wait waits until fn has returned, so long at most.
func (c *closer) wait(patience time.Duration) {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-c.done:
	case <-late.C:
	}
}

// wanted reports whether a close that has begun, as ending says, is to be waited for.
func (c *closer) wanted(ending bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return ending && !c.stopped
}

// stop sees to it that fn doesn't begin to run any more. It reports whether fn was called before, and perhaps still runs; false for a stop that isn't the first.
func (c *closer) stop() (called bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	called = c.called && !c.stopped
	c.stopped = true
	return called
}
