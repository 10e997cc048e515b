package membership

import (
	"context"
	"errors"
	"slices"

	"github.com/sessionbridge/sessionbridge/redisstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/scripts"
	"github.com/sessionbridge/sessionbridge/store"
)

// Leave implements store.Node. If the context ends first, or Redis is unreachable, it returns an
// error; the member has stopped nevertheless.
func (m *Member) Leave(ctx context.Context) error {
	const doing = "leave"
	if err := m.Stop(ctx); err != nil {
		return err
	}
	if m.deregistered.Load() {
		return nil
	}
	for _, name := range m.life.UsedNames() { // an earlier one may not be removed yet
		if err := m.deregister(ctx, doing, name); err != nil {
			return err
		}
	}
	m.deregistered.Store(true)
	return nil
}

// Stop ends all goroutines of the member without telling Redis: other nodes find out when the lease
// has expired, as if the process had ended. It returns an error if the context ends first.
func (m *Member) Stop(ctx context.Context) error { return m.life.Stop(ctx, "leave") }

// deregister removes a node from all shards, and what it held.
func (m *Member) deregister(ctx context.Context, doing, name string) error {
	prefixes := slices.Clone(m.prefixes)
	for len(prefixes) > 0 {
		calls := make([]scripts.Call, len(prefixes))
		for i, prefix := range prefixes {
			calls[i] = m.scripts.Deregister.On(prefix, name, deregisterAtOnce, "1")
		}
		replies, err := m.conn.RunAll(ctx, doing, calls)
		if err != nil {
			if errors.Is(err, store.ErrClosed) {
				return nil
			}
			return err
		}
		var unfinished []string
		for i, reply := range replies {
			if more, err := reply.AsInt64(); err != nil {
				return conn.Damaged(doing, err)
			} else if more == 1 {
				unfinished = append(unfinished, prefixes[i])
			}
		}
		prefixes = unfinished
	}
	return nil
}
