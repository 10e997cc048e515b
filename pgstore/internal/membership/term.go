package membership

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/store"
)

// term is a node's life under one name.
type term struct {
	member *Member
	name   string
	ctx    context.Context // ends with the term
	cancel context.CancelFunc
	wg     sync.WaitGroup

	wake      chan struct{} // the inbox has entries
	listening chan struct{} // notifications arrive from now on
	requests  chan *request
	beats     atomic.Int64 // renewals of the lease, each of which sends a notification with its number

	missed bool // entries of the inbox may be lost, which is still to be reported; for readInbox only
}

func newTerm(m *Member, name string) *term {
	t := &term{
		member: m, name: name, wake: make(chan struct{}, 1), listening: make(chan struct{}, 1),
		requests: make(chan *request),
	}
	t.ctx, t.cancel = context.WithCancel(m.ctx)
	return t
}

// errTermOver means that the server no longer knows the node, which must join again.
var errTermOver = errors.New("pgstore: the node has to join again")

// run returns when the term is over. It reports whether the node had joined. again means that it had
// joined before, so that it may have missed changes.
func (t *term) run(again bool) (joined bool) {
	defer t.cancel()
	if !t.join() {
		return false
	}
	t.wg.Go(t.listen)
	t.wg.Go(t.readInbox)
	t.serve(again)
	t.wg.Wait()
	return true
}

// join registers the node, and retries until it succeeds or the term is over.
func (t *term) join() bool {
	m, backoff := t.member, background.Backoff{}
	for {
		err := m.conn.Exec(t.ctx, "joining the other nodes", m.statements.join, m.app, t.name)
		if err == nil {
			m.answered.now()
		}
		m.joined(t.name, err)
		if err == nil {
			return true
		}
		if !backoff.Wait(t.ctx) {
			return false
		}
	}
}

// request asks to hold or to release an item.
type request struct {
	item item
	hold bool
	done chan error // buffered
}

// tidyEvery is how often a node removes what was left behind for nodes that were being removed.
const tidyEvery = time.Minute

// serve restores everything that the node holds, then executes requests in their order, as many at
// once as are pending.
func (t *term) serve(again bool) {
	if !t.restore() {
		return
	}
	if again {
		t.member.changes.report(store.Change{Kind: store.ChangeMissed})
	}
	ticker := time.NewTicker(tidyEvery)
	defer ticker.Stop()
	for {
		select {
		case <-t.ctx.Done():
			return
		case r := <-t.requests:
			t.execute(r)
		case <-ticker.C:
			_ = t.member.conn.Exec(t.ctx, "removing what is left of nodes", t.member.statements.tidy)
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
		case errors.Is(err, errTermOver):
			t.cancel()
			return false
		case !backoff.Wait(t.ctx):
			return false
		}
	}
}

func (t *term) holdAll() error {
	for chunk := range slices.Chunk(t.member.held.all(), itemsAtOnce) {
		chunk = slices.DeleteFunc(chunk, func(it item) bool { return !t.member.held.has(it) })
		if err := t.hold("holding again", chunk); err != nil {
			return err
		}
	}
	return nil
}

// execute executes a request together with others of its kind that are pending.
func (t *term) execute(r *request) {
	for r != nil {
		batch, hold := []*request{r}, r.hold
		items := []item{r.item}
		r = nil
		for len(batch) < itemsAtOnce && r == nil {
			select {
			case next := <-t.requests:
				if next.hold != hold {
					r = next
					continue
				}
				batch, items = append(batch, next), append(items, next.item)
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
			each.done <- err
		}
	}
}

// hold holds items.
func (t *term) hold(doing string, items []item) error {
	m := t.member
	kinds, ids := split(items)
	var known bool
	err := m.conn.RepeatRow(t.ctx, doing, []any{&known}, m.statements.hold, m.app, t.name, kinds, ids)
	switch {
	case t.ctx.Err() != nil || err == nil && !known:
		return errTermOver
	case errors.Is(err, store.ErrClosed):
		return store.ErrClosed
	}
	return err
}

func (t *term) release(items []item) error {
	m := t.member
	kinds, ids := split(items)
	err := m.conn.Exec(t.ctx, "release", m.statements.release, m.app, t.name, kinds, ids)
	if t.ctx.Err() != nil {
		return errTermOver
	}
	return err
}

func split(items []item) (kinds, ids []string) {
	for _, it := range items {
		kinds, ids = append(kinds, it.kind), append(ids, it.id)
	}
	return kinds, ids
}

// signal wakes the receiver of a channel with room for one element.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
