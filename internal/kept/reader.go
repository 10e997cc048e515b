package kept

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// window is how many frames of a Reader may be under way. It reads on when half of them are sent.
const window = 64

// skew is how far the clocks of a process and of the store may differ. A connection that has changed
// its user gets the messages since the login, and what the clocks may make of that.
const skew = 5 * time.Second

// Owner is the connection of a Reader. Its methods must not block.
type Owner interface {
	// Current returns the session and the user that the connection has now, "" for none.
	Current() (sessionID, userID string)
	// Enqueue takes a frame to be sent after those before it; false if the connection is closed.
	// Hub.Sent is called when it has been sent.
	Enqueue(r *Reader, f *Frame) bool
}

// Start is how a connection begins to read.
type Start struct {
	SessionID, UserID string
	Position          string // that the client has presented
	First             bool   // the client has none: it gets what is kept from now on

	// LoggedIn returns when the user has logged in to the session. It is called if the position isn't
	// one of the user.
	LoggedIn func(ctx context.Context) (time.Time, error)
}

// Reader is what a connection has seen of the logs of its session and its user.
type Reader struct {
	owner Owner

	mu       sync.Mutex
	marks    [2]mark // of the session, of the user
	former   []entry // logs that the client has read before
	ready    bool
	underWay int
	closed   bool
}

// mode says how the number of a mark is to be understood.
type mode uint8

const (
	unused  mode = iota // there is no such log
	atEnd               // to begin with the next message
	lost                // likewise, and to say that messages are lost
	since               // to begin after that number, if that is still possible
	resumed             // to begin after that number, which the client's position has
	exactly             // the log has been read, and everything up to that message has been taken
)

// mark is the place of a Reader in a log.
type mark struct {
	of     store.KeptFor
	tag    [tagSize]byte
	mode   mode
	number uint64
	behind bool // there is more to read, which is asked for when frames have been sent
	asked  bool // it has been asked for

	sent  uint64 // the last message that has been sent
	known bool   // sent is known
}

// newReader returns a Reader that has read nothing yet.
func newReader(owner Owner, s *Start, t *tags) *Reader {
	r := &Reader{owner: owner}
	entries, readable := parsePosition(s.Position)
	for i, of := range []store.KeptFor{{SessionID: s.SessionID}, {UserID: s.UserID}} {
		if of == (store.KeptFor{}) {
			continue
		}
		m := &r.marks[i]
		m.of = of
		var found bool
		m.tag, m.number, found = t.take(&entries, of)
		switch {
		case s.First:
			m.mode = atEnd
		case !readable:
			m.mode = lost
		case found:
			m.mode, m.sent, m.known = resumed, m.number, true
		default: // a session is in use by its own clients only, so what is kept for it is new to them
			m.mode = since
		}
	}
	r.former = entries[:min(len(entries), maxEntries-len(r.marks))]
	return r
}

// dateLogin has a client that has got another user begin with the messages since the login.
func (r *Reader) dateLogin(ctx context.Context, loggedIn func(context.Context) (time.Time, error)) error {
	m := &r.marks[1] // no other goroutine has the Reader yet
	if m.mode != since {
		return nil
	}
	at, err := loggedIn(ctx)
	if err == nil {
		m.number = micros(at.Add(-skew))
	}
	return err
}

// after returns the number after which the log is to be read for the Reader; false if it has not
// begun to read it, or is not to.
func (r *Reader) after(log int) (number uint64, reads bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := &r.marks[log]
	return m.number, m.mode == exactly && !r.closed
}

// start returns the number after which the log is to be read at first.
func (r *Reader) start(log int) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.marks[log].number
}

// skip is called instead of take if the connection has lost the session or the user meanwhile.
func (r *Reader) skip(log int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.marks[log].mode = unused
}

// close ends the Reader: it takes nothing more.
func (r *Reader) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}

// take takes what is new of a log, which was read after the Reader's number or an earlier one.
func (r *Reader) take(log int, kept *store.Kept) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	m := &r.marks[log]
	messages := kept.Messages
	switch m.mode {
	case atEnd:
		m.number, m.sent, m.known = kept.Last, kept.Last, true
	case lost:
		r.gone(log, kept.Last)
	case since:
		begin := kept.Last
		if i := slices.IndexFunc(messages, m.isNew); i >= 0 {
			begin = messages[i].Prev
		}
		if begin <= m.number || begin == kept.First {
			m.number, m.sent, m.known = begin, begin, true
		} else {
			r.gone(log, begin)
		}
	case unused, resumed, exactly:
	}
	m.mode, m.behind, m.asked = exactly, false, false
	for i := range messages {
		each := &messages[i]
		if !m.isNew(*each) {
			continue
		}
		if r.underWay >= window {
			m.behind = true
			return
		}
		if each.Prev != m.number {
			r.gone(log, each.Prev)
		}
		m.number = each.Number
		f := &Frame{Kind: Message, Binary: each.Binary, Data: each.Data, number: each.Number}
		f.log = int8(log) //nolint:gosec // 0 or 1
		r.emit(f)
	}
	if m.number != kept.Last { // the last messages have been dropped, or the store has lost them
		r.gone(log, kept.Last)
	}
}

func (m *mark) isNew(message store.KeptMessage) bool { return message.Number > m.number }

// gone tells the client that messages up to that one are lost. The lock is held.
func (r *Reader) gone(log int, number uint64) {
	r.marks[log].number = number
	r.emit(&Frame{Kind: Gone, log: int8(log), number: number}) //nolint:gosec // 0 or 1
}

// emit hands a frame to the connection. The lock is held.
func (r *Reader) emit(f *Frame) {
	if r.closed {
		return
	}
	if r.underWay++; !r.owner.Enqueue(r, f) {
		r.closed = true
	}
}

// settle tells the client that it has all that it missed, once.
func (r *Reader) settle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ready {
		return
	}
	for i := range r.marks {
		if m := &r.marks[i]; m.behind || m.mode != exactly && m.mode != unused {
			return
		}
	}
	r.ready = true
	r.emit(&Frame{Kind: Ready, log: -1})
}

// Position returns the position of the client when it has got the frame. The frames are sent in the
// order of Owner.Enqueue.
func (r *Reader) Position(f *Frame) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.log >= 0 {
		m := &r.marks[f.log]
		m.sent, m.known = f.number, true
	}
	entries := make([]entry, 0, maxEntries)
	for i := range r.marks {
		if m := &r.marks[i]; m.known {
			entries = append(entries, entry{m.tag, m.sent})
		}
	}
	return formatPosition(append(entries, r.former...))
}

// sentOne counts a frame that has been sent, and returns the logs that are to be read on.
func (r *Reader) sentOne() (behind []store.KeptFor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.underWay--
	for i := range r.marks {
		if m := &r.marks[i]; m.behind && !m.asked && r.underWay <= window/2 {
			m.asked = true
			behind = append(behind, m.of)
		}
	}
	return behind
}

// has reports whether the connection still has the session or the user of the log.
func (r *Reader) has(of store.KeptFor) bool {
	sessionID, userID := r.owner.Current()
	if of.SessionID != "" {
		return sessionID == of.SessionID
	}
	return sessionID != "" && userID == of.UserID
}
