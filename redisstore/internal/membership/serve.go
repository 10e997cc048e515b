package membership

import (
	"errors"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/internal/terms"
	"github.com/sessionbridge/sessionbridge/store"
)

// deregisterAtOnce is how many items a script removes from an expired node's holdings at once.
const deregisterAtOnce = "500"

// request asks a shard to hold or to release an item.
type request = terms.Request[item]

// serve restores everything that the node holds, then executes requests in their order, as many at
// once as are pending.
func (s *shard) serve(again bool) {
	if !s.restore() {
		return
	}
	s.restored(again)
	ticker, due := time.NewTicker(refreshTick), refresh{last: time.Now()}
	defer ticker.Stop()
	for {
		select {
		case <-s.term.Ctx.Done():
			return
		case r := <-s.requests:
			s.execute(r)
		case name := <-s.expired:
			s.deregister(name)
		case now := <-ticker.C:
			names := due.next(now, s.term.member.held[s.number].All)
			if s.holdAgain(names) == nil {
				due.done(len(names))
			}
		}
	}
}

// restore repeats what Redis may have lost since the last term, and retries until it succeeds. It
// returns false if the term is over.
func (s *shard) restore() bool {
	backoff := background.Backoff{}
	for {
		err := s.destroyAgain()
		if err == nil {
			err = s.holdAgain(s.term.member.held[s.number].All())
		}
		switch {
		case err == nil:
			return true
		case errors.Is(err, terms.ErrOver):
			s.term.End()
			return false
		case !backoff.Wait(s.term.Ctx):
			return false
		}
	}
}

// destroyAgain destroys the sessions that the server may not know to be destroyed.
func (s *shard) destroyAgain() error {
	m := s.term.member
	tombstones := &m.tombstones[s.number]
	for member, t := range tombstones.unknownTo(s.server) {
		call := m.scripts.Destroy.On(s.prefix, member, s.term.Name, t.reason, "")
		if _, err := m.conn.RunInt(s.term.Ctx, "destroying again", call); err != nil {
			return err
		}
	}
	tombstones.knownTo(s.server)
	return nil
}

// holdAgain holds those of the items that are still held.
func (s *shard) holdAgain(names []string) error {
	for len(names) > 0 {
		chunk := names[:min(len(names), holdsAtOnce)]
		names = names[len(chunk):]
		var args []string
		for _, name := range chunk {
			if s.term.member.held[s.number].Has(name) {
				args = append(args, "+"+storedName(name))
			}
		}
		if len(args) == 0 {
			continue
		}
		if err := s.hold("holding again", args); err != nil {
			return err
		}
	}
	return nil
}

// execute executes a request together with others that are pending.
func (s *shard) execute(r *request) {
	var args []string
	batch := []*request{}
	for r != nil {
		sign := "-"
		if r.Hold {
			sign = "+"
		}
		batch, args = append(batch, r), append(args, sign+storedName(r.Item.name))
		r = nil
		if len(batch) < holdsAtOnce {
			select {
			case r = <-s.requests:
			default:
			}
		}
	}
	err := s.hold("hold", args)
	for _, r := range batch {
		r.Done <- err
	}
}

// hold holds and releases items in the shard: args are their names with a sign.
func (s *shard) hold(doing string, args []string) error {
	m := s.term.member
	args = append([]string{s.term.Name}, args...)
	n, err := m.conn.RunInt(s.term.Ctx, doing, m.scripts.Hold.On(s.prefix, args...))
	switch {
	case s.term.Ctx.Err() != nil || err == nil && n == 0:
		return terms.ErrOver
	case errors.Is(err, store.ErrClosed):
		return store.ErrClosed
	}
	return err
}

// deregister removes a part of what an expired node held. The rest follows after pending requests.
func (s *shard) deregister(name string) {
	m := s.term.member
	call := m.scripts.Deregister.On(s.prefix, name, deregisterAtOnce, "0")
	more, err := m.conn.RunInt(s.term.Ctx, "deregistering a node", call)
	if err == nil && more == 1 {
		select {
		case s.expired <- name:
		default:
		}
	}
}
