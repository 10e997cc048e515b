package redisstore

import (
	"context"

	"github.com/sessionbridge/sessionbridge/store"
)

var _ store.Reserver = (*node)(nil)

// Reserve implements store.Reserver.
func (n *node) Reserve(ctx context.Context, id string) (release func(context.Context) error, err error) {
	p, name := n.place(id), n.member.name()
	ask := func(ctx context.Context, doing, mode string) (int64, error) {
		return n.change(ctx, doing, call{&n.engine.scripts.reserve, p.prefix, []string{p.member, name, mode}})
	}
	got, err := ask(ctx, "reserve", "1")
	if err == nil && got == 0 {
		err = store.ErrBusy
	}
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		_, err := ask(ctx, "release", "0")
		return err
	}, nil
}
