package registry

import (
	"cmp"
	"errors"
	"iter"
	"maps"
	"slices"

	"github.com/sessionbridge/sessionbridge/internal/allowance"
)

// Limits are how many connections there may be; 0 is no limit.
type Limits struct {
	PerSession, PerAddr int
	Evict               bool // the oldest has to go; otherwise the newest is refused
}

// Errors of Add where the newest is refused.
var (
	ErrSessionFull = errors.New("registry: the session has too many connections")
	ErrAddrFull    = errors.New("registry: there are too many connections from the address")
)

// makeRoom evicts connections so that e fits within the limits: it parts them from their sessions,
// stops counting them, and returns them to be closed. The leaving ones are evicted in any case. The
// lock is held.
func (r *Registry[L]) makeRoom(e *Entry, leaving []L) (evicted []L, err error) {
	limits := &r.cfg.Limits
	evicted = leaving
	if limits.PerSession > 0 && e.linked {
		if others := r.crowdOf(e.lastID, evicted); others != nil {
			if !limits.Evict {
				return nil, ErrSessionFull
			}
			evicted = append(evicted, slices.MinFunc(others, r.byAge))
		}
	}
	if others := r.crowdAt(e.Addr, evicted); others != nil && !e.NoAddr {
		if !limits.Evict {
			return nil, ErrAddrFull
		}
		evicted = append(evicted, slices.MinFunc(others, r.byAge))
	}
	for _, l := range evicted {
		r.giveWay(l, r.cfg.Replaced)
	}
	return evicted, nil
}

// partTooMany parts the connections that a session has beyond the limit, and returns them: the
// oldest or the newest, by the same rule as for a single new connection. The lock is held.
func (r *Registry[L]) partTooMany(sessionID string) (parted []L) {
	limit, all := r.cfg.Limits.PerSession, r.crowdOf(sessionID, nil)
	if len(all) <= limit {
		return nil
	}
	slices.SortFunc(all, r.byAge)
	if parted = all[limit:]; r.cfg.Limits.Evict {
		parted = all[:len(all)-limit]
	}
	for _, l := range parted {
		r.giveWay(l, r.cfg.TooMany)
	}
	return parted
}

// giveWay parts a connection beyond the limit and stops counting it. It is to be closed with c,
// even if its handler notices before the caller closes it. The lock is held.
func (r *Registry[L]) giveWay(l L, c Close) {
	r.leave(r.cfg.Entry(l))
	r.leaveAddr(l)
	r.leaveName(l)
	r.cfg.Entry(l).parted = &c
}

// byAge compares connections by their age, the oldest first.
func (r *Registry[L]) byAge(a, b L) int {
	return cmp.Compare(r.cfg.Entry(a).OpenedAt, r.cfg.Entry(b).OpenedAt)
}

// enterAddr counts the connection among those of its address. The lock is held.
func (r *Registry[L]) enterAddr(l L) {
	if r.byAddr == nil || r.cfg.Entry(l).NoAddr {
		return
	}
	from := allowance.Subscriber(r.cfg.Entry(l).Addr)
	if r.byAddr[from] == nil {
		r.byAddr[from] = make(map[L]struct{})
	}
	r.byAddr[from][l] = struct{}{}
}

// leaveAddr stops counting it there. The lock is held.
func (r *Registry[L]) leaveAddr(l L) {
	if len(r.byAddr) == 0 {
		return
	}
	from := allowance.Subscriber(r.cfg.Entry(l).Addr)
	if others := r.byAddr[from]; others != nil {
		if delete(others, l); len(others) == 0 {
			delete(r.byAddr, from)
		}
	}
}

// AddrFull reports whether a connection from the address would be refused.
func (r *Registry[L]) AddrFull(addr string) bool {
	if r.cfg.Limits.PerAddr == 0 || r.cfg.Limits.Evict {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.crowdAt(addr, nil) != nil
}

// Rivals returns the connections that haven't ended and count towards the same limits as one of the
// session from the address, or have its ID or name.
func (r *Registry[L]) Rivals(sessionID string, e *Entry) (of []L) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l, ok := r.byID[e.ID]; ok {
		of = append(of, l)
	}
	of = slices.AppendSeq(of, maps.Keys(r.byName[e.Name]))
	if s := r.bySession[sessionID]; s != nil && r.cfg.Limits.PerSession > 0 {
		of = append(of, s.members...)
	}
	of = slices.AppendSeq(of, maps.Keys(r.byAddr[allowance.Subscriber(e.Addr)]))
	return slices.DeleteFunc(of, r.cfg.Ended)
}

// Freed returns a channel that is closed when the ID is free.
func (r *Registry[L]) Freed(id string) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entryOf(id)
	if e == nil {
		free := make(chan struct{})
		close(free)
		return free
	}
	if e.freed == nil {
		e.freed = make(chan struct{})
	}
	return e.freed
}

// crowdAt returns the connections from the address, without those that are leaving, if they have
// reached the limit. The lock is held.
func (r *Registry[L]) crowdAt(addr string, leaving []L) []L {
	from := r.byAddr[allowance.Subscriber(addr)]
	return r.crowd(r.cfg.Limits.PerAddr, len(from), maps.Keys(from), leaving)
}

// crowdOf is crowdAt for the connections of the session.
func (r *Registry[L]) crowdOf(sessionID string, leaving []L) []L {
	s := r.bySession[sessionID]
	if s == nil {
		return nil
	}
	return r.crowd(r.cfg.Limits.PerSession, len(s.members), slices.Values(s.members), leaving)
}

// crowd returns the connections among n that haven't ended and aren't leaving if they have reached
// the limit, and nil otherwise. One that has ended doesn't count, although its handler may not have
// returned.
func (r *Registry[L]) crowd(limit, n int, of iter.Seq[L], leaving []L) (open []L) {
	if limit == 0 || n < limit {
		return nil
	}
	for l := range of {
		if !r.cfg.Ended(l) && !slices.Contains(leaving, l) {
			open = append(open, l)
		}
	}
	if len(open) < limit {
		return nil
	}
	return open
}
