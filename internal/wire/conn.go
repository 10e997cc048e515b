package wire

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Config is shared by the connections of a handler.
type Config struct {
	Epoch           time.Time // the time 0 of Heard, with a monotonic clock reading
	FramesPerSecond float64   // how fast the client may send frames that are counted; 0: no limit
	Burst           float64   // and how many at once
}

// Owner is the WebSocket above a Conn. Its methods must not block.
type Owner interface {
	TooManyFrames() // the client sends more frames than it may; called once, by Read
	Closed()        // the connection has ended for reads; called once, by Read or Close
}

// ErrTooManyFrames is returned by the first Read that exceeds the limit. The bridge returns it as
// its own error, hence the prefix.
var ErrTooManyFrames = errors.New("bridge: the client sends more control frames or fragments " +
	"than ConnOptions.FramesPerSecond allows")

// Conn is a network connection below a WebSocket.
type Conn struct {
	net.Conn
	cfg    *Config
	owner  Owner  // set before the first Read
	ahead  []byte // read by net/http before the upgrade
	frames frames // touched by the reader only

	heard       atomic.Int64  // when something last came from the client, since Config.Epoch
	rounds      atomic.Uint64 // reads of the network that have begun
	pending     atomic.Bool   // one is waiting
	interrupt   atomic.Bool   // the read is to return, as soon as no message is half read
	interrupted atomic.Bool   // it has been handed the empty message
	tripped     atomic.Bool   // the client has sent too many frames: its bytes are dropped
	over        atomic.Bool   // closed, or a read has failed

	mu    sync.Mutex
	isCut bool
}

// New returns a Conn that Wrap connects to the network.
func New(cfg *Config) *Conn { return &Conn{cfg: cfg, frames: frames{tokens: cfg.Burst}} }

// Start sets the owner, before the first Read.
func (c *Conn) Start(owner Owner) { c.owner = owner }

// Read implements io.Reader.
func (c *Conn) Read(p []byte) (int, error) {
	for {
		if c.interrupt.Load() && c.standIn(p) {
			return len(emptyFrame), nil
		}
		n, err := c.receive(p)
		switch {
		case n > 0 && c.tripped.Load(): // until the close frame has arrived the client may go on
			continue
		case n > 0 && !c.admit(p[:n]):
			return 0, ErrTooManyFrames
		case n > 0:
			return n, err
		case err != nil && timedOut(err) && c.resetDeadline():
			continue
		case err != nil:
			c.finish()
		}
		return n, err
	}
}

// receive reads the bytes that net/http has left, then from the network.
func (c *Conn) receive(p []byte) (n int, err error) {
	if len(c.ahead) > 0 {
		n = copy(p, c.ahead)
		if c.ahead = c.ahead[n:]; len(c.ahead) == 0 {
			c.ahead = nil
		}
	} else {
		c.rounds.Add(1)
		c.pending.Store(true)
		n, err = c.Conn.Read(p)
		c.pending.Store(false)
	}
	if n > 0 { // a part of a long message is a sign of life, too
		c.heard.Store(int64(time.Since(c.cfg.Epoch)))
	}
	return n, err
}

// admit counts the frames that begin in p. It returns false, once, if there are more than the
// client may send.
func (c *Conn) admit(p []byte) bool {
	counted := c.frames.feed(p)
	if counted == 0 || c.cfg.FramesPerSecond == 0 || c.frames.allow(counted, c.Heard(), c.cfg) {
		return true
	}
	c.tripped.Store(true)
	c.owner.TooManyFrames()
	return false
}

// emptyFrame is an empty text message from a client, masked with zeros.
var emptyFrame = [...]byte{0x81, 0x80, 0, 0, 0, 0}

// standIn hands the reader an empty message in place of one from the client, so that its read
// returns without harm to the connection. This is possible only between two messages.
func (c *Conn) standIn(p []byte) bool {
	if !c.frames.between() || len(c.ahead) > 0 || len(p) < len(emptyFrame) {
		return false
	}
	c.interrupt.Store(false)
	c.interrupted.Store(true)
	copy(p, emptyFrame[:])
	return true
}

// Interrupt has a pending read of a message, or the next one, return an empty message once the one
// that is half read is complete. It doesn't wait for that.
func (c *Conn) Interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupt.Store(true)
	if !c.isCut && c.Conn != nil {
		_ = c.SetReadDeadline(time.Unix(1, 0))
	}
}

// EndInterrupt takes back an Interrupt that has not had an effect.
func (c *Conn) EndInterrupt() { c.interrupt.Store(false) }

// Interrupted reports, once, whether the message that was read last stands for an Interrupt. It is
// for the reader.
func (c *Conn) Interrupted() bool { return c.interrupted.Swap(false) }

// resetDeadline takes back the deadline of Interrupt. It returns false if the connection has been
// cut.
func (c *Conn) resetDeadline() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.isCut && c.SetReadDeadline(time.Time{}) == nil
}

// Cut makes every pending and later read and write fail. It doesn't wait for them.
func (c *Conn) Cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = true
	if c.Conn != nil {
		_ = c.SetDeadline(time.Unix(1, 0))
	}
}

// Close implements io.Closer.
func (c *Conn) Close() error {
	c.finish()
	return c.Conn.Close()
}

func (c *Conn) finish() {
	if !c.over.Swap(true) && c.owner != nil {
		c.owner.Closed()
	}
}

// Over reports whether the connection has ended for reads.
func (c *Conn) Over() bool { return c.over.Load() }

// Tripped reports whether the client has sent too many frames.
func (c *Conn) Tripped() bool { return c.tripped.Load() }

// Heard returns when something last came from the client, since Config.Epoch.
func (c *Conn) Heard() time.Duration { return time.Duration(c.heard.Load()) }

// HeardFirst sets Heard for a client that has sent nothing yet.
func (c *Conn) HeardFirst(at time.Duration) { c.heard.CompareAndSwap(0, int64(at)) }

// Expect notes that a ping is sent: its pong isn't counted.
func (c *Conn) Expect() { c.frames.expect() }

// Round names the latest read of the network, for WaitsSince.
func (c *Conn) Round() uint64 { return c.rounds.Load() }

// WaitsSince reports whether the read that was the latest at the time of the round still waits.
func (c *Conn) WaitsSince(round uint64) bool { return c.pending.Load() && c.rounds.Load() == round }

func timedOut(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}
