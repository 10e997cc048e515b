package wire

import (
	"encoding/binary"
	"sync/atomic"
	"time"
)

// frames follows the frames from a client as their bytes pass, and counts those that cost work and
// bring nothing.
type frames struct {
	header    [14]byte // of the frame that has begun, as far as it has come
	n         uint8
	inMessage bool         // a fragmented message is not complete
	left      uint64       // bytes of the payload to come
	answers   atomic.Int32 // pongs to come

	tokens float64 // how many frames may come, at the time at
	at     time.Duration
}

// smallFragment is the size from which on a fragment isn't counted: a limit of the message's size
// limits its number.
const smallFragment = 256

// feed takes the next bytes, and returns how many frames that are counted begin in them.
func (f *frames) feed(p []byte) (counted int) {
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
			counted++
		}
	}
	return counted
}

// headerSize returns the size of the header, of which two bytes have come.
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
	case opcode >= 8: // a close frame, or an unknown one, which ends the connection
		return false
	}
	f.inMessage = !final
	return (!final || opcode == continuation) && f.left < smallFragment
}

// expect notes that a pong is to come, which isn't counted.
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

// between reports whether the bytes so far end with a message, or with a control frame outside of
// one.
func (f *frames) between() bool { return f.n == 0 && f.left == 0 && !f.inMessage }

// allow reports whether n more frames may come at the time.
func (f *frames) allow(n int, now time.Duration, limit *Config) bool {
	f.tokens = min(limit.Burst, f.tokens+limit.FramesPerSecond*(now-f.at).Seconds())
	f.at = now
	f.tokens -= float64(n)
	return f.tokens >= 0
}
