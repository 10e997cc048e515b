package bridge

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"
)

// probeTime is how long a connection that would be refused waits for what is found out about the others.
const probeTime = time.Second

// living yields those links that are not over: one whose handler hasn't returned yet counts no more.
func living(links iter.Seq[*Link]) iter.Seq[*Link] {
	return func(yield func(*Link) bool) {
		for l := range links {
			if l.ctx.Err() == nil && !yield(l) {
				return
			}
		}
	}
}

// crowd returns those of n links that are not over, if there are as many as may be; nil: there is room.
func crowd(most, n int, links iter.Seq[*Link]) []*Link {
	if most == 0 || n < most {
		return nil
	}
	if all := slices.Collect(living(links)); len(all) >= most {
		return all
	}
	return nil
}

// addOrProbe registers l. Before it is refused as one too many, the others on which nobody reads are looked at: a page that was loaded anew has left one behind, and comes with the next.
func (b *Bridge) addOrProbe(ctx context.Context, l *Link) (evicted []*Link, err error) {
	evicted, err = b.links.add(l)
	if errors.Is(err, ErrTooManyConns) && b.probe(ctx, b.links.rivals(l.sessionID, l.addr)) {
		evicted, err = b.links.add(l)
	}
	return evicted, err
}

// rivals returns the links that count beside one of the session, from the address.
func (ls *links) rivals(sessionID, addr string) (of []*Link) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if sl := ls.bySession[sessionID]; sl != nil && ls.limits.perSession > 0 {
		of = append(of, sl.links...)
	}
	for l := range ls.byAddr[network(addr)] {
		of = append(of, l)
	}
	return of
}

// probe has the Bridge read where nobody does, and reports whether one of the links has come to its end meanwhile. It waits for nothing if all are being read.
func (b *Bridge) probe(ctx context.Context, links []*Link) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	started := false
	for _, l := range links {
		if l.conn != nil && l.conn.inbox.Watch() {
			started = true
		}
	}
	if !started {
		return false
	}
	over := make(chan struct{}, 1)
	for _, l := range links {
		defer context.AfterFunc(l.ctx, func() {
			select {
			case over <- struct{}{}:
			default:
			}
		})()
	}
	select {
	case <-over:
		return true
	case <-ctx.Done():
		return false
	}
}
