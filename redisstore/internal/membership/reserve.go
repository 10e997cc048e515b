package membership

import (
	"context"

	"github.com/sessionbridge/sessionbridge/redisstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/store"
)

// Reserve implements store.Reserver.
func (m *Member) Reserve(ctx context.Context, id string) (release func(context.Context) error, err error) {
	member, name := codec.Member(id), m.Name()
	prefix := m.prefixes[codec.Shard(member, len(m.prefixes))]
	const reserve, unreserve = "1", "0"
	run := func(ctx context.Context, doing, mode string) (int64, error) {
		return m.conn.RunInt(ctx, doing, m.scripts.Reserve.On(prefix, member, name, mode))
	}
	reserved, err := run(ctx, "reserve", reserve)
	if err == nil && reserved == 0 {
		err = store.ErrBusy
	}
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		_, err := run(ctx, "release", unreserve)
		return err
	}, nil
}
