package registry

import (
	"context"
	"errors"
	"time"
)

// How long a probe waits for one of the connections to end.
const (
	probeTime = time.Second            // if the connection begins to be read
	raceTime  = 250 * time.Millisecond // if all are being read: an end may just be arriving
)

// AddOrProbe is Add. Before another connection's ID or name, or a limit, refuses a connection of the
// session, the others are probed: a page that was reloaded leaves a connection behind.
func (r *Registry[L]) AddOrProbe(ctx context.Context, l L, sessionID string) (evicted []L, err error) {
	evicted, err = r.Add(l)
	if err == nil {
		return evicted, nil
	}
	e := r.cfg.Entry(l)
	var freed <-chan struct{}
	if errors.Is(err, ErrIDInUse) {
		var none L
		if old := r.Get(e.ID); old != none {
			r.cfg.Yield(old)
		}
		freed = r.Freed(e.ID)
	}
	r.probe(ctx, r.Rivals(sessionID, e), freed)
	return r.Add(l)
}

// AddrStaysFull is AddrFull after a probe.
func (r *Registry[L]) AddrStaysFull(ctx context.Context, addr string) bool {
	if !r.AddrFull(addr) {
		return false
	}
	r.probe(ctx, r.Rivals("", &Entry{Addr: addr}), nil)
	return r.AddrFull(addr)
}

// probe has connections read whose handlers don't read, and returns when a connection has ended, or
// after a while: a page's new handshake may arrive before the end of its old connection. With a
// channel it waits for that instead: a connection keeps its ID until its handler has returned.
func (r *Registry[L]) probe(ctx context.Context, links []L, freed <-chan struct{}) {
	wait := raceTime
	for _, l := range links {
		if r.cfg.Watch(l) {
			wait = probeTime
		}
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for _, l := range links {
		if freed == nil {
			defer context.AfterFunc(r.cfg.Context(l), cancel)()
		}
	}
	select {
	case <-freed:
	case <-ctx.Done():
	}
}
