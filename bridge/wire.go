package bridge

import (
	"bufio"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clock"
)

// wire is the network connection below a WebSocket. Every byte from the client passes through its Read, which notes signs of life, counts frames, and lets a
// pending read of the Bridge's give way to one of the handler's.
type wire struct {
	net.Conn
	conn   *Conn // set before the first Read
	clock  *clock.Clock
	ahead  []byte // read by net/http before the upgrade
	frames frames // touched by the reader only

	heard   atomic.Int64  // when something last came from the client, an offset on the clock
	rounds  atomic.Uint64 // reads of the network that have begun
	pending atomic.Bool   // one is waiting
	giveWay atomic.Bool   // the Bridge's read is to return, as soon as no message is half read
	gave    atomic.Bool   // it has been handed the empty frame
	tripped atomic.Bool   // the client has sent too many frames: nothing of it is handed on any more
	over    atomic.Bool   // closed, or a read has failed

	mu    sync.Mutex
	isCut bool
}

// attach puts the wire between a connection that is upgraded and the library that does it.
func (w *wire) attach(conn net.Conn, buf *bufio.ReadWriter) net.Conn {
	w.Conn = conn
	if n := buf.Reader.Buffered(); n > 0 { // frames that came together with the handshake
		ahead, _ := buf.Peek(n)
		w.ahead = append(w.ahead, ahead...)
	}
	buf.Reader.Reset(w)
	return w
}

// Read implements io.Reader.
func (w *wire) Read(p []byte) (int, error) {
	for {
		if w.giveWay.Load() && w.standIn(p) {
			return len(emptyFrame), nil
		}
		n, err := w.receive(p)
		switch {
		case n > 0 && w.tripped.Load(): // the close frame is on its way; until it has arrived the client's are dropped
			continue
		case n > 0 && !w.admit(p[:n]):
			return 0, errTooManyFrames
		case n > 0:
			return n, err
		case err != nil && timedOut(err) && w.resume():
			continue
		case err != nil:
			w.finish()
		}
		return n, err
	}
}

// receive reads what net/http has left, then from the network.
func (w *wire) receive(p []byte) (n int, err error) {
	if len(w.ahead) > 0 {
		n = copy(p, w.ahead)
		if w.ahead = w.ahead[n:]; len(w.ahead) == 0 {
			w.ahead = nil
		}
	} else {
		w.rounds.Add(1)
		w.pending.Store(true)
		n, err = w.Conn.Read(p)
		w.pending.Store(false)
	}
	if n > 0 { // a part of a long message is a sign of life, too
		w.heard.Store(int64(w.clock.Now()))
	}
	return n, err
}

// admit counts the frames that begin in p; false, once, when there are more than the client may send.
func (w *wire) admit(p []byte) bool {
	small := w.frames.feed(p)
	if small == 0 || w.frames.allow(small, time.Duration(w.heard.Load())) {
		return true
	}
	w.tripped.Store(true)
	w.conn.closeTooFast("too many control frames or fragments")
	return false
}

// emptyFrame is an empty text message from a client, masked with zeros.
var emptyFrame = [...]byte{0x81, 0x80, 0, 0, 0, 0}

// standIn hands the reader an empty message in place of one from the client, so that its read returns and the connection is good for the next. That is possible
// between two messages only.
func (w *wire) standIn(p []byte) bool {
	if !w.frames.between() || len(w.ahead) > 0 || len(p) < len(emptyFrame) {
		return false
	}
	w.giveWay.Store(false)
	w.gave.Store(true)
	copy(p, emptyFrame[:])
	return true
}

// interrupt has the pending read give way. It waits for nothing.
func (w *wire) interrupt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.giveWay.Store(true)
	if !w.isCut && w.Conn != nil {
		_ = w.SetReadDeadline(time.Unix(1, 0))
	}
}

// resume takes the deadline back that interrupt has set; false when the connection has been cut.
func (w *wire) resume() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.isCut && w.SetReadDeadline(time.Time{}) == nil
}

// cut makes every pending read and write fail. It doesn't wait for anything.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = true
	if w.Conn != nil {
		_ = w.SetDeadline(time.Unix(1, 0))
	}
}

// Close implements io.Closer.
func (w *wire) Close() error {
	w.finish()
	return w.Conn.Close()
}

// finish notes that nothing comes over the connection any more. Who reads past the Bridge (Conn.Underlying) doesn't tell it: the next beat does.
func (w *wire) finish() {
	if w.over.Swap(true) {
		return
	}
	if c := w.conn; c != nil && c.inbox.foreign.Load() && c.link.ctx != nil && c.link.ctx.Err() == nil {
		c.link.b.planBeat(&c.pulse, w.clock.Now())
	}
}

// waitsSince reports whether the read that was the last to begin at the time of the round still waits.
func (w *wire) waitsSince(round uint64) bool { return w.pending.Load() && w.rounds.Load() == round }

func timedOut(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}
