package kept

import (
	"context"
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
	"github.com/sessionbridge/sessionbridge/store"
)

// retryAfter is the time until a log is read again that could not be read.
const retryAfter = time.Second

// Config is what a Hub needs. All fields are set, except that Topics may be nil, and Keeper if no
// connection that joins has a session.
type Config struct {
	Keeper  store.Keeper
	Secrets [][sha256.Size]byte // for positions: the first for new ones, all for those that clients present
	Timeout time.Duration       // of a call of the Keeper

	Topics *cluster.Node // nil: there are no other processes

	Go     func(task func())                  // runs a task in the background
	After  func(d time.Duration, task func()) // calls a task that doesn't block after that time
	Failed func(err error)                    // reports that logs can't be read; they will be read again
}

// Hub delivers messages that are kept to the connections of this process.
type Hub struct {
	cfg  Config
	tags tags

	mu   sync.Mutex
	logs map[store.KeptFor]*log

	failing atomic.Bool // the last read of any log has failed, which was reported
}

// log is a log with readers. Its fields but turn are guarded by Hub.mu.
type log struct {
	of      store.KeptFor
	turn    ctxlock.Lock // of the goroutine that reads the log and hands it to the readers
	readers map[*Reader]struct{}
	planned bool // to be read, or to be read again
}

// New returns a Hub without connections.
func New(cfg Config) *Hub {
	h := &Hub{cfg: cfg, logs: make(map[store.KeptFor]*log)}
	h.SetSecrets(cfg.Secrets)
	return h
}

// SetSecrets replaces Config.Secrets.
func (h *Hub) SetSecrets(secrets [][sha256.Size]byte) { h.tags.secrets.Store(&secrets) }

// Join makes a Reader of the connection. Before it returns nil, the connection has got what it has
// missed, as far as its window permits, and the rest follows. The caller calls Leave when the
// connection ends. After an error of the store or of ctx nothing is to be done.
func (h *Hub) Join(ctx context.Context, owner Owner, s Start) (*Reader, error) {
	r := newReader(owner, &s, &h.tags)
	err := r.dateLogin(ctx, s.LoggedIn)
	if err == nil {
		err = h.join(ctx, r)
	}
	if err != nil {
		h.Leave(r)
		return nil, err
	}
	r.settle()
	return r, nil
}

func (h *Hub) join(ctx context.Context, r *Reader) error {
	for i := range r.marks { // the session's first: no two goroutines wait for each other's turn
		of := r.marks[i].of
		if of == (store.KeptFor{}) {
			continue
		}
		l := h.enter(of, r)
		if err := h.cfg.Topics.Subscribe(ctx, "", of.Topic()); err != nil {
			return err
		}
		if err := l.turn.Lock(ctx); err != nil {
			return err
		}
		defer l.turn.Unlock()
		kept, err := h.read(ctx, of, r.start(i))
		if err != nil {
			return err
		}
		if r.has(of) {
			r.take(i, &kept)
		} else {
			r.skip(i)
		}
	}
	return nil
}

// enter adds a Reader to a log.
func (h *Hub) enter(of store.KeptFor, r *Reader) *log {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.logs[of]
	if l == nil {
		l = &log{of: of, readers: make(map[*Reader]struct{})}
		h.logs[of] = l
		h.cfg.Topics.Retain(cluster.Topic{ClientID: of.Topic()})
	}
	l.readers[r] = struct{}{}
	return l
}

// Leave ends a Reader; nil is none.
func (h *Hub) Leave(r *Reader) {
	if r == nil {
		return
	}
	r.close()
	for i := range r.marks {
		h.leave(r.marks[i].of, r)
	}
}

func (h *Hub) leave(of store.KeptFor, r *Reader) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.logs[of]
	if l == nil {
		return
	}
	if _, is := l.readers[r]; !is {
		return
	}
	if delete(l.readers, r); len(l.readers) == 0 {
		delete(h.logs, of)
		h.cfg.Topics.Release(cluster.Topic{ClientID: of.Topic()})
	}
}

// Announced has a log read if the name is its topic; false if it is no topic.
func (h *Hub) Announced(name string) bool {
	of, ok := store.KeptTopic(name)
	if ok {
		h.Poke(of)
	}
	return ok
}

// Poke has a log read, in the background, if it has readers.
func (h *Hub) Poke(of store.KeptFor) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := h.logs[of]; l != nil {
		h.plan(l)
	}
}

// PokeAll has every log read, because announcements may have been missed.
func (h *Hub) PokeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.logs {
		h.plan(l)
	}
}

// Sent is called when a frame of the Reader has been sent.
func (h *Hub) Sent(r *Reader) {
	for _, of := range r.sentOne() {
		h.Poke(of)
	}
}

// plan has the log read. The lock is held.
func (h *Hub) plan(l *log) {
	if !l.planned {
		l.planned = true
		h.cfg.Go(func() { h.deliver(l) })
	}
}

// deliver reads the log and hands it to its readers. After an error it is read again later.
func (h *Hub) deliver(l *log) {
	ctx, cancel := context.WithTimeout(context.Background(), h.cfg.Timeout)
	defer cancel()
	locked := l.turn.Lock(ctx)
	readers := h.begin(l)
	if locked == nil {
		defer l.turn.Unlock()
	}
	if len(readers) == 0 {
		return
	}
	err := locked
	if err == nil {
		err = h.hand(ctx, l, readers)
	}
	if failed := err != nil; h.failing.Swap(failed) != failed && failed {
		h.cfg.Failed(err)
	}
	if err != nil {
		h.cfg.After(retryAfter, func() { h.Poke(l.of) })
	}
}

// begin returns the readers of a log that is about to be read. An announcement from then on has it
// read again.
func (h *Hub) begin(l *log) []*Reader {
	h.mu.Lock()
	defer h.mu.Unlock()
	l.planned = false
	readers := make([]*Reader, 0, len(l.readers))
	for r := range l.readers {
		readers = append(readers, r)
	}
	return readers
}

// hand reads the log after what the readers have, and hands it to them. Its turn is held.
func (h *Hub) hand(ctx context.Context, l *log, readers []*Reader) error {
	which := 0
	if l.of.UserID != "" {
		which = 1
	}
	reading := readers[:0]
	var from uint64
	for _, r := range readers {
		number, reads := r.after(which)
		switch {
		case !reads: // it is about to read the log itself, or is closed
			continue
		case !r.has(l.of): // a login, a logout or an end has parted the connection from it
			h.leave(l.of, r)
			continue
		case len(reading) == 0 || number < from:
			from = number
		}
		reading = append(reading, r)
	}
	if len(reading) == 0 {
		return nil
	}
	kept, err := h.read(ctx, l.of, from)
	if err != nil {
		return err
	}
	for _, r := range reading {
		if r.has(l.of) {
			r.take(which, &kept)
			r.settle()
		}
	}
	return nil
}

func (h *Hub) read(ctx context.Context, of store.KeptFor, after uint64) (store.Kept, error) {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.Timeout)
	defer cancel()
	return h.cfg.Keeper.Kept(ctx, of, after)
}
