package bridge

import (
	"context"
	"fmt"

	"github.com/sessionbridge/sessionbridge/internal/outbox"
)

// errFrozen: nobody could say whether the session is still there.
var errFrozen = fmt.Errorf("%w: it has not answered for %v", ErrStoreUnavailable, freezeAfter)

// notify is Bridge.Notify for the other nodes.
func (c *cluster) notify(ctx context.Context, to To, m *outbox.Message) (taken int, err error) {
	if c == nil {
		return 0, nil
	}
	nodes, err := c.nodesOf(ctx, to)
	if err != nil {
		return 0, err
	}
	err = c.ask(ctx, nodes, question{Notify: &askNotify{To: to, Binary: m.Binary}}, m.Data, func(ans *answer) bool {
		taken += ans.N
		return true
	})
	return taken, err
}

// conns yields what the other nodes say of theirs.
func (c *cluster) conns(ctx context.Context, f *ConnFilter, yield func(ConnInfo, error) bool) error {
	if c == nil {
		return nil
	}
	nodes, err := c.nodesOf(ctx, f.to())
	if err != nil {
		return err
	}
	return c.ask(ctx, nodes, question{Conns: f}, nil, func(ans *answer) bool {
		for _, info := range ans.Conns {
			info.Node = ans.from
			if !yield(info, nil) {
				return false
			}
		}
		return true
	})
}

// counts returns how many connections the other nodes have, by session. With ErrNodeSilent it returns those of the others.
func (c *cluster) counts(ctx context.Context) (counts map[string]int, err error) {
	if c == nil {
		return nil, nil
	}
	nodes, err := c.nodesOf(ctx, To{All: true})
	if err != nil {
		return nil, err
	}
	counts = make(map[string]int)
	err = c.ask(ctx, nodes, question{Count: true}, nil, func(ans *answer) bool {
		for id, n := range ans.Counts {
			counts[id] += n
		}
		return true
	})
	return counts, err
}

// closeConns has other nodes close connections, and returns how many they were.
func (c *cluster) closeConns(ctx context.Context, of To, q askClose) (closed int, err error) {
	if c == nil {
		return 0, nil
	}
	nodes, err := c.nodesOf(ctx, of)
	if err != nil {
		return 0, err
	}
	err = c.ask(ctx, nodes, question{Close: &q}, nil, func(ans *answer) bool {
		closed += ans.N
		return q.ConnID == "" || closed == 0 // there is only one of that name
	})
	return closed, err
}
