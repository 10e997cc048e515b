package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// holdsAtOnce is how much a script is told to hold.
const holdsAtOnce = 128

// request is a wish to hold something in a shard, or no longer.
type request struct {
	name string
	hold bool
	done chan error // room for one
}

// change has items held, or released, and waits for the answer. When the node has to join again, it waits for that.
func (m *membership) change(ctx context.Context, doing string, items []item, hold bool) error {
	for {
		t, err := m.current(ctx, doing)
		if err != nil {
			return err
		}
		if err = t.change(ctx, doing, items, hold); !errors.Is(err, errLost) {
			return err
		}
		t.lose()
		if !hold { // it isn't held again
			return nil
		}
	}
}

func (t *term) change(ctx context.Context, doing string, items []item, hold bool) error {
	requests := make([]*request, len(items))
	for i, it := range items {
		requests[i] = &request{it.name, hold, make(chan error, 1)}
		select {
		case t.shards[it.shard].requests <- requests[i]:
		case <-t.ctx.Done():
			return errLost
		case <-ctx.Done():
			return fmt.Errorf("redisstore: %s: %w", doing, context.Cause(ctx))
		}
	}
	for _, r := range requests {
		select {
		case err := <-r.done:
			if err != nil {
				return err
			}
		case <-t.ctx.Done():
			return errLost
		case <-ctx.Done():
			return fmt.Errorf("redisstore: %s: %w", doing, context.Cause(ctx))
		}
	}
	return nil
}

// serve says in the shard what the node holds: first all of it, then what is asked for, in that order, as much at once as has come meanwhile.
func (s *shard) serve(again bool) {
	if !s.recover() {
		return
	}
	s.term.settled(again)
	ticker, due := time.NewTicker(holdTick), refresh{last: time.Now()}
	defer ticker.Stop()
	for {
		select {
		case <-s.term.ctx.Done():
			return
		case r := <-s.requests:
			s.answer(r)
		case dead := <-s.dead:
			s.bury(dead)
		case now := <-ticker.C:
			some := due.next(now, s.term.member.held[s.number].all)
			if s.holdAgain(some) == nil {
				due.done(len(some))
			}
		}
	}
}

// recover repeats what Redis may have lost since the term before, until it succeeds; false: the term is over.
func (s *shard) recover() bool {
	between := pause{}
	for {
		err := s.destroyAgain()
		if err == nil {
			err = s.holdAgain(s.term.member.held[s.number].all())
		}
		switch {
		case err == nil:
			return true
		case errors.Is(err, errLost):
			s.term.lose()
			return false
		case !between.wait(s.term.ctx):
			return false
		}
	}
}

// holdAgain holds what is still held of these.
func (s *shard) holdAgain(names []string) error {
	for len(names) > 0 {
		some := names[:min(len(names), holdsAtOnce)]
		names = names[len(some):]
		var args []string
		for _, name := range some {
			if s.term.member.held[s.number].has(name) {
				args = append(args, "+"+stored(name))
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

// answer does what is asked, together with what else has been asked meanwhile.
func (s *shard) answer(r *request) {
	var args []string
	some := []*request{}
	for r != nil {
		sign := "-"
		if r.hold {
			sign = "+"
		}
		some, args = append(some, r), append(args, sign+stored(r.name))
		r = nil
		if len(some) < holdsAtOnce {
			select {
			case r = <-s.requests:
			default:
			}
		}
	}
	err := s.hold("hold", args)
	for _, r := range some {
		r.done <- err
	}
}

// hold tells the shard what the node holds from now on, and what no longer.
func (s *shard) hold(doing string, args []string) error {
	m := s.term.member
	n, err := m.store.change(s.term.ctx, doing, call{&m.store.engine.scripts.hold, s.prefix, append([]string{s.term.name}, args...)})
	switch {
	case s.term.ctx.Err() != nil || err == nil && n == 0:
		return errLost
	case errors.Is(err, store.ErrClosed):
		return store.ErrClosed
	}
	return err
}

// bury forgets a part of what a dead node held; the rest comes after what is asked for.
func (s *shard) bury(dead string) {
	m := s.term.member
	more, err := m.store.change(s.term.ctx, "burying a node", call{&m.store.engine.scripts.bury, s.prefix, []string{dead, buryPiece, "0"}})
	if err == nil && more == 1 {
		select {
		case s.dead <- dead:
		default:
		}
	}
}
