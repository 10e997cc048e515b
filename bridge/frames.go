package bridge

import (
	"encoding/binary"
	"sync/atomic"
	"time"
)

// frames follows the frames from a client (RFC 6455 §5.2) as their bytes pass, and counts those that cost work and bring nothing: pings, pongs that answer no ping,
// and small fragments. Messages are counted where they are read.
type frames struct {
	header    [14]byte // of the frame that has begun, as far as it has come
	n         uint8
	inMessage bool         // a fragmented message is not complete
	left      uint64       // bytes of the payload to come
	answers   atomic.Int32 // pongs to come

	perSecond, burst float64 // 0: no limit
	tokens           float64
	at               time.Duration
}

// What a client may send of them by default, per second. The burst is so many seconds' worth.
const (
	leastFrames = 10
	mostFrames  = 100
	frameBurst  = 5
)

// smallFragment is the size from which on a fragment is not counted: what it brings is limited by MaxMessageBytes.
const smallFragment = 256

// feed takes the next bytes, and returns how many frames that are counted have begun in them.
func (f *frames) feed(p []byte) (small int) {
	for len(p) > 0 {
		if f.left > 0 {
			n := min(uint64(len(p)), f.left)
			f.left -= n
			p = p[n:]
			continue
		}
		f.header[f.n] = p[0]
		f.n++
		p = p[1:]
		if f.n >= 2 && f.n == f.headerSize() && f.begin() {
			small++
		}
	}
	return small
}

// headerSize is known from the second byte on.
func (f *frames) headerSize() uint8 {
	size := uint8(2)
	switch f.header[1] & 0x7f {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if f.header[1]&0x80 != 0 { // a mask
		size += 4
	}
	return size
}

// begin takes note of a frame whose header is complete, and reports whether it is counted.
func (f *frames) begin() (counted bool) {
	const continuation, ping, pong = 0, 9, 10
	f.n = 0
	switch size := f.header[1] & 0x7f; size {
	case 126:
		f.left = uint64(binary.BigEndian.Uint16(f.header[2:]))
	case 127:
		f.left = binary.BigEndian.Uint64(f.header[2:])
	default:
		f.left = uint64(size)
	}
	final, opcode := f.header[0]&0x80 != 0, f.header[0]&0x0f
	switch {
	case opcode == ping:
		return true
	case opcode == pong:
		return !f.answered()
	case opcode >= 8: // a close frame, or one that ends the connection as it is unknown
		return false
	}
	f.inMessage = !final
	return (!final || opcode == continuation) && f.left < smallFragment
}

// expect takes note of a ping that is sent: its pong isn't counted.
func (f *frames) expect() { f.answers.Add(1) }

// answered reports whether a pong was to come.
func (f *frames) answered() bool {
	for n := f.answers.Load(); n > 0; n = f.answers.Load() {
		if f.answers.CompareAndSwap(n, n-1) {
			return true
		}
	}
	return false
}

// between reports whether the bytes so far end with a message, or a control frame that is in none.
func (f *frames) between() bool { return f.n == 0 && f.left == 0 && !f.inMessage }

// allow reports whether so many more frames may come at the time.
func (f *frames) allow(n int, now time.Duration) bool {
	if f.perSecond == 0 {
		return true
	}
	f.tokens = min(f.burst, f.tokens+f.perSecond*(now-f.at).Seconds())
	f.at = now
	f.tokens -= float64(n)
	return f.tokens >= 0
}

// limit sets what is allowed.
func (f *frames) limit(o *ConnOptions) {
	if o.FramesPerSecond > 0 {
		f.perSecond = o.FramesPerSecond
		f.burst = max(1, frameBurst*f.perSecond)
		f.tokens = f.burst
	}
}
