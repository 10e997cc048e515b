package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// sharedLoads lets those who want one session at the same time share looks at the store, as the tabs of a browser do that all come
// back at once. Nobody gets an answer that is older than the question: a caller joins only a load that begins after its call. So
// there is one load of a session under way at most, and one to come for all who have called since it began.
type sharedLoads struct {
	mu   sync.Mutex
	byID map[string]*loadQueue // of sessions with a load under way
}

// loadQueue is the load to come of a session; nil: nobody has asked for one.
type loadQueue struct{ next *sharedLoad }

// sharedLoad is one load. One of those who wait for it does it, when its turn has come.
type sharedLoad struct {
	waiting int           // callers, guarded by sharedLoads.mu
	turn    chan struct{} // has room for the one message that says so
	done    chan struct{} // closed when rec, now and err are there

	rec store.Record
	now time.Time
	err error
}

var errLoadPanicked = errors.New("the load has panicked")

// LoadShared is Load for handshakes: it shares looks at the store with others that come at the same time. The record's Data is shared,
// too, and not to be changed.
func (g *Gateway) LoadShared(ctx context.Context, id string) (store.Record, error) {
	rec, _, err := g.loadSharedAt(ctx, id)
	return rec, err
}

// LoadActiveShared is LoadActive for handshakes, as LoadShared is Load.
func (g *Gateway) LoadActiveShared(ctx context.Context, id string, check func(*store.Record) error) (store.Record, error) {
	k := g.Acquire(id) // held from before the load, as in LoadActive
	defer k.Release()
	rec, now, err := g.loadSharedAt(ctx, id)
	if err == nil {
		err = check(&rec)
	}
	if err == nil {
		err = g.Touch(ctx, k, &rec, now)
	}
	return rec, err
}

func (g *Gateway) loadSharedAt(ctx context.Context, id string) (rec store.Record, now time.Time, err error) {
	if ctx.Err() != nil {
		return rec, now, cause(ctx)
	}
	l := g.shared.join(id)
	if l.turn != nil { // another one is under way
		select {
		case <-l.done:
			return l.rec, l.now, l.err
		case <-ctx.Done():
			g.shared.leave(id, l)
			return rec, now, cause(ctx)
		case <-l.turn:
		}
	}
	defer g.shared.finish(id)
	defer close(l.done)
	l.err = unavailable(ctx, "load the session", errLoadPanicked) // unless it returns
	// It is for the others as well, who stay when this caller's client hangs up.
	l.rec, l.now, l.err = g.LoadAt(context.WithoutCancel(ctx), id, nil)
	return l.rec, l.now, l.err
}

// join returns the load that the caller waits for. A load without a turn is the caller's to do, at once.
func (s *sharedLoads) join(id string) *sharedLoad {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.byID[id]
	if q == nil {
		if s.byID == nil {
			s.byID = make(map[string]*loadQueue)
		}
		s.byID[id] = &loadQueue{}
		return &sharedLoad{done: make(chan struct{})}
	}
	if q.next == nil {
		q.next = &sharedLoad{turn: make(chan struct{}, 1), done: make(chan struct{})}
	}
	q.next.waiting++
	return q.next
}

// leave is for a caller that doesn't wait any longer. If it was the last one the load's turn is passed on.
func (s *sharedLoads) leave(id string, l *sharedLoad) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.waiting--; l.waiting > 0 {
		return
	}
	q := s.byID[id]
	switch {
	case q != nil && q.next == l:
		q.next = nil
	case len(l.turn) > 0: // it has come, and nobody has taken it
		<-l.turn
		s.advance(id)
	}
}

// finish ends the load that was under way.
func (s *sharedLoads) finish(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(id)
}

// advance gives the next load its turn. The lock is held.
func (s *sharedLoads) advance(id string) {
	q := s.byID[id]
	if q.next == nil {
		delete(s.byID, id)
		return
	}
	q.next.turn <- struct{}{}
	q.next = nil
}

// ReportIf is Report, if needed says so by the time that it is this report's turn.
func (g *Gateway) ReportIf(ctx context.Context, id string, needed func() bool, tell func(*store.Record)) error {
	op := g.attached(ctx)
	defer op.stop()
	release, err := g.exclude(op, id)
	if err != nil {
		return err
	}
	defer release()
	if !needed() {
		return nil
	}
	rec, err := g.get(op, id)
	if err == nil {
		tell(&rec)
	}
	return err
}
