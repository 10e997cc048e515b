package gateway

import (
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// sharedLoads lets concurrent callers share the loads of a session, such as the tabs of a browser
// that reconnect together. A caller joins only a load that begins after its call, so that the
// result is never older than the call: a session has at most one load under way, and one to follow
// for all callers since that began.
type sharedLoads struct {
	mu   sync.Mutex
	byID map[string]*sharedLoad // of sessions with a load under way: the one to follow, nil for none
}

// sharedLoad is a load to follow. One of the callers that wait for it runs it, when its turn has
// come.
type sharedLoad struct {
	waiting int           // callers, guarded by sharedLoads.mu
	turn    chan struct{} // gets one value when the turn has come
	done    chan struct{} // closed when rec, now and err are set

	rec store.Record
	now time.Time
	err error
}

// join returns the load that the caller waits for; nil: the caller loads at once, on its own.
func (s *sharedLoads) join(id string) *sharedLoad {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, underWay := s.byID[id]
	if !underWay {
		if s.byID == nil {
			s.byID = make(map[string]*sharedLoad)
		}
		s.byID[id] = nil
		return nil
	}
	if next == nil {
		next = &sharedLoad{turn: make(chan struct{}, 1), done: make(chan struct{})}
		s.byID[id] = next
	}
	next.waiting++
	return next
}

// leave is for a caller that stops waiting. If it was the last one, the next load gets the turn.
func (s *sharedLoads) leave(id string, l *sharedLoad) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.waiting--; l.waiting > 0 {
		return
	}
	switch {
	case s.byID[id] == l:
		s.byID[id] = nil
	case len(l.turn) > 0: // it has come, and no caller has taken it
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
	next := s.byID[id]
	if next == nil {
		delete(s.byID, id)
		return
	}
	next.turn <- struct{}{}
	s.byID[id] = nil
}
