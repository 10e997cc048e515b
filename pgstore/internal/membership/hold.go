package membership

import (
	"context"
	"errors"
	"fmt"

	"github.com/sessionbridge/sessionbridge/pgstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/store"
)

// Hold implements store.Node.
func (m *Member) Hold(ctx context.Context, sessionID, clientID string) error {
	items := itemsOf(sessionID, clientID)
	for _, it := range items {
		m.held.begin(it)
	}
	err := m.request(ctx, "hold", items, true)
	for _, it := range items {
		m.held.finish(it, err == nil)
	}
	return err
}

// Release implements store.Node.
func (m *Member) Release(ctx context.Context, sessionID, clientID string) error {
	const doing = "release"
	items := itemsOf(sessionID, clientID)
	for _, it := range items {
		m.held.remove(it)
	}
	if t := m.term.Load(); t == nil || t.ctx.Err() != nil { // the next term will not restore it
		return m.conn.Ready(ctx, doing)
	}
	return m.request(ctx, doing, items, false)
}

// request asks the current term to hold or release items, and waits for the reply. If the term ends
// meanwhile, a hold is repeated in the next one.
func (m *Member) request(ctx context.Context, doing string, items []item, hold bool) error {
	for {
		t, err := m.current(ctx, doing)
		if err != nil {
			return err
		}
		if err = t.request(ctx, doing, items, hold); !errors.Is(err, errTermOver) {
			return err
		}
		t.cancel()
		if !hold { // the next term will not restore it
			return nil
		}
	}
}

func (t *term) request(ctx context.Context, doing string, items []item, hold bool) error {
	requests := make([]*request, len(items))
	for i, it := range items {
		requests[i] = &request{it, hold, make(chan error, 1)}
		select {
		case t.requests <- requests[i]:
		case <-t.ctx.Done():
			return errTermOver
		case <-ctx.Done():
			return t.member.notJoined(ctx, doing)
		}
	}
	for _, r := range requests {
		select {
		case err := <-r.done:
			if err != nil {
				return err
			}
		case <-t.ctx.Done():
			return errTermOver
		case <-ctx.Done():
			return fmt.Errorf("pgstore: %s: %w", doing, context.Cause(ctx))
		}
	}
	return nil
}

// itemsOf returns what PostgreSQL can store of the session and the client. There are no changes of
// others.
func itemsOf(sessionID, clientID string) (items []item) {
	client := item{kindClient, clientID}
	if to, ok := store.KeptTopic(clientID); ok {
		client = item{kindKept, codec.Topic(to)}
	}
	for _, it := range []item{{kindSession, sessionID}, client} {
		if it.id != "" && codec.Text(it.id) {
			items = append(items, it)
		}
	}
	return items
}
