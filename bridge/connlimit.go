package bridge

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// Why a connection is closed that is too many.
const (
	tookItsPlace = "a newer connection has taken its place"
	tooManyThere = "the session has too many connections"
	tooManyFrom  = "there are too many connections from the address"
)

// connLimits are how many connections there may be; 0 is no limit.
type connLimits struct {
	perSession, perAddr int
	evict               bool // the oldest goes; otherwise the newest is refused
}

func newConnLimits(o *settings) connLimits {
	return connLimits{perSession: max(0, o.MaxConnsPerSession), perAddr: max(0, o.MaxConnsPerAddr), evict: o.OnTooManyConns == EvictOldestConn}
}

// makeRoom returns the links that have to go for l, which it cuts off and doesn't count any more. The lock is held.
func (ls *links) makeRoom(l *Link) (evicted []*Link, err error) {
	if most := ls.limits.perSession; most > 0 && l.sessionID != "" {
		if others := ls.crowdOf(l.sessionID); others != nil {
			if !ls.limits.evict {
				return nil, fmt.Errorf("%w: it has %d", ErrTooManySessionConns, most)
			}
			evicted = append(evicted, oldest(others))
		}
	}
	if others := ls.crowdAt(l.addr); others != nil {
		if !ls.limits.evict {
			return nil, fmt.Errorf("%w: it has %d", ErrTooManyAddrConns, ls.limits.perAddr)
		}
		if len(evicted) == 0 || network(evicted[0].addr) != network(l.addr) {
			evicted = append(evicted, oldest(others))
		}
	}
	for _, e := range evicted {
		ls.giveWay(e, tookItsPlace)
	}
	return evicted, nil
}

// cutTooMany cuts off and returns the links that a session has beyond the limit, after several have come at once: the oldest or the newest, as with one that comes. The
// lock is held.
func (ls *links) cutTooMany(sessionID string) (cut []*Link) {
	most, all := ls.limits.perSession, ls.crowdOf(sessionID)
	if len(all) <= most {
		return nil
	}
	byAge := slices.SortedFunc(slices.Values(all), func(a, b *Link) int { return cmp.Compare(a.openedAt, b.openedAt) })
	if cut = byAge[most:]; ls.limits.evict {
		cut = byAge[:len(byAge)-most]
	}
	for _, l := range cut {
		ls.giveWay(l, tooManyThere)
	}
	return cut
}

// giveWay cuts off a link that is too many and counts it no more. It is to be closed with over, also if its handler notices before whoever closes it. The lock is held.
func (ls *links) giveWay(l *Link, why string) {
	ls.leave(l)
	ls.leaveAddr(l)
	l.over = &closing{code: CodePolicy, reason: why}
}

func oldest(links []*Link) (first *Link) {
	for _, l := range links {
		if first == nil || l.openedAt < first.openedAt {
			first = l
		}
	}
	return first
}

// leaveAddr counts l no more among those of its address. The lock is held.
func (ls *links) leaveAddr(l *Link) {
	if len(ls.byAddr) == 0 {
		return
	}
	from := network(l.addr)
	if others := ls.byAddr[from]; others != nil {
		if delete(others, l); len(others) == 0 {
			delete(ls.byAddr, from)
		}
	}
}

// network is what counts as one address: an IPv4 address, and of IPv6 the /64 that a single subscriber has.
func network(addr string) string {
	ip, err := netip.ParseAddr(addr)
	if err != nil || ip.Unmap().Is4() {
		return addr
	}
	prefix, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return addr
	}
	return prefix.String()
}

// addrFull reports whether a connection from the address would be refused.
func (ls *links) addrFull(addr string) bool {
	if ls.limits.perAddr == 0 || ls.limits.evict {
		return false
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.crowdAt(addr) != nil
}

// crowdAt returns the links from the address if there are as many as may be. The lock is held.
func (ls *links) crowdAt(addr string) []*Link {
	from := ls.byAddr[network(addr)]
	return crowd(ls.limits.perAddr, len(from), maps.Keys(from))
}

// crowdOf returns the links of the session if there are as many as may be. The lock is held.
func (ls *links) crowdOf(sessionID string) []*Link {
	sl := ls.bySession[sessionID]
	if sl == nil {
		return nil
	}
	return crowd(ls.limits.perSession, len(sl.links), slices.Values(sl.links))
}
