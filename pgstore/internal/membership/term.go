package membership

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/internal/terms"
	"github.com/sessionbridge/sessionbridge/store"
)

// term is a node's life under one name.
type term struct {
	*terms.Term
	member *Member
	wg     sync.WaitGroup

	wake      chan struct{} // the inbox has entries
	listening chan struct{} // notifications arrive from now on
	requests  chan *request
	beats     atomic.Int64 // renewals of the lease, each of which sends a notification with its number

	missed bool // entries of the inbox may be lost, which is still to be reported; for readInbox only
}

func newTerm(m *Member, of *terms.Term) *term {
	return &term{
		Term: of, member: m, wake: make(chan struct{}, 1), listening: make(chan struct{}, 1),
		requests: make(chan *request),
	}
}

// run returns when the term is over. If an earlier one has joined, changes may have been missed.
func (t *term) run() {
	if !t.join() {
		return
	}
	again := t.member.joinedBefore
	t.member.joinedBefore = true
	t.wg.Go(t.listen)
	t.wg.Go(t.readInbox)
	t.serve(again)
	t.wg.Wait()
}

// join registers the node, and retries until it succeeds or the term is over.
func (t *term) join() bool {
	m, backoff := t.member, background.Backoff{}
	for {
		err := m.conn.Exec(t.Ctx, "joining the other nodes", m.statements.join, m.app, t.Name)
		if err == nil {
			m.answered.Now()
		}
		m.life.Joined(t.Name, err)
		if err == nil {
			return true
		}
		if !backoff.Wait(t.Ctx) {
			return false
		}
	}
}

// request asks to hold or to release an item.
type request = terms.Request[item]

// tidyEvery is how often a node removes what was left behind for nodes that were being removed.
const tidyEvery = time.Minute

// serve restores everything that the node holds, then executes requests in their order, as many at
// once as are pending.
func (t *term) serve(again bool) {
	if !t.restore() {
		return
	}
	if again {
		t.member.life.Report(store.Change{Kind: store.ChangeMissed})
	}
	ticker := time.NewTicker(tidyEvery)
	defer ticker.Stop()
	for {
		select {
		case <-t.Ctx.Done():
			return
		case r := <-t.requests:
			t.execute(r)
		case <-ticker.C:
			_ = t.member.conn.Exec(t.Ctx, "removing what is left of nodes", t.member.statements.tidy)
		}
	}
}

// restore holds again what the node held in the last term, and retries until it succeeds.
func (t *term) restore() bool {
	backoff := background.Backoff{}
	for {
		err := t.holdAll()
		switch {
		case err == nil:
			return true
		case errors.Is(err, terms.ErrOver):
			t.End()
			return false
		case !backoff.Wait(t.Ctx):
			return false
		}
	}
}

func (t *term) holdAll() error {
	for chunk := range slices.Chunk(t.member.held.All(), itemsAtOnce) {
		chunk = slices.DeleteFunc(chunk, func(it item) bool { return !t.member.held.Has(it) })
		if err := t.hold("holding again", chunk); err != nil {
			return err
		}
	}
	return nil
}

// execute executes a request together with others of its kind that are pending.
func (t *term) execute(r *request) {
	for r != nil {
		batch, hold := []*request{r}, r.Hold
		items := []item{r.Item}
		r = nil
		for len(batch) < itemsAtOnce && r == nil {
			select {
			case next := <-t.requests:
				if next.Hold != hold {
					r = next
					continue
				}
				batch, items = append(batch, next), append(items, next.Item)
				continue
			default:
			}
			break
		}
		var err error
		if hold {
			err = t.hold("hold", items)
		} else {
			err = t.release(items)
		}
		for _, each := range batch {
			each.Done <- err
		}
	}
}

// hold holds items.
func (t *term) hold(doing string, items []item) error {
	m := t.member
	kinds, ids := split(items)
	var known bool
	err := m.conn.RepeatRow(t.Ctx, doing, []any{&known}, m.statements.hold, m.app, t.Name, kinds, ids)
	switch {
	case t.Ctx.Err() != nil || err == nil && !known:
		return terms.ErrOver
	case errors.Is(err, store.ErrClosed):
		return store.ErrClosed
	}
	return err
}

func (t *term) release(items []item) error {
	m := t.member
	kinds, ids := split(items)
	err := m.conn.Exec(t.Ctx, "release", m.statements.release, m.app, t.Name, kinds, ids)
	if t.Ctx.Err() != nil {
		return terms.ErrOver
	}
	return err
}

func split(items []item) (kinds, ids []string) {
	for _, it := range items {
		kinds, ids = append(kinds, it.kind), append(ids, it.id)
	}
	return kinds, ids
}
