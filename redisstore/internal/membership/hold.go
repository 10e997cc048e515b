package membership

import (
	"context"
	"errors"
	"fmt"

	"github.com/sessionbridge/sessionbridge/redisstore/internal/codec"
)

// Hold implements store.Node. An item that no other node holds takes about 200 bytes in Redis.
func (m *Member) Hold(ctx context.Context, sessionID, clientID string) error {
	items := m.items(sessionID, clientID)
	for _, it := range items {
		m.held[it.shard].begin(it.name)
	}
	err := m.request(ctx, "hold", items, true)
	for _, it := range items {
		m.held[it.shard].finish(it.name, err == nil)
	}
	return err
}

// Release implements store.Node.
func (m *Member) Release(ctx context.Context, sessionID, clientID string) error {
	const doing = "release"
	items := m.items(sessionID, clientID)
	for _, it := range items {
		m.held[it.shard].remove(it.name)
	}
	if t := m.term.Load(); t == nil || t.ctx.Err() != nil { // the next term will not restore it
		return m.conn.Ready(ctx, doing)
	}
	return m.request(ctx, doing, items, false)
}

// request asks the shards of the current term to hold or release items, and waits for the reply. If
// the term ends meanwhile, a hold is repeated in the next one.
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
		requests[i] = &request{it.name, hold, make(chan error, 1)}
		select {
		case t.shards[it.shard].requests <- requests[i]:
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
			return fmt.Errorf("redisstore: %s: %w", doing, context.Cause(ctx))
		}
	}
	return nil
}

func (m *Member) items(sessionID, clientID string) (items []item) {
	if sessionID != "" {
		items = append(items, m.item(kindSession, sessionID))
	}
	if clientID != "" {
		items = append(items, m.item(kindClient, clientID))
	}
	return items
}

func (m *Member) item(kind, id string) item {
	member := codec.Member(id)
	place := member
	if kind == kindClient {
		place = codec.ClientPlace(id)
	}
	return item{codec.Shard(place, len(m.prefixes)), kind + member}
}
