package bridge

import (
	"bytes"
	"context"
	"errors"

	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/outbox"
)

// The kinds of questions between nodes. A node doesn't answer a kind that it doesn't know.
const (
	callNotify = "notify" // a notifyCall with the message as the payload; the answer is a number of connections
	callConns  = "conns"  // a ConnFilter; the answer is ConnInfos
	callCounts = "counts" // nil; the answer is sessionConns
	callClose  = "close"  // a closeCall; the answer is a number of connections
)

type notifyCall struct {
	To     To   `json:"to"`
	Binary bool `json:"binary,omitempty"`
}

// closeCall is a CloseConn, with ConnID, or a CloseConns, with Filter.
type closeCall struct {
	ConnID string      `json:"conn,omitempty"`
	Filter *ConnFilter `json:"filter,omitempty"`
	Code   int         `json:"code"`
	Reason string      `json:"reason,omitempty"`
}

// sessionConns is the number of connections that a session has on a node.
type sessionConns struct {
	SessionID string `json:"id"`
	N         int    `json:"n"`
}

// answerNode answers a question of another node. It must not block. It queues messages to
// connections itself, so that they stay in order.
func (b *Bridge) answerNode(q *cluster.Question) {
	switch q.Kind {
	case callNotify:
		cluster.Answer(q, func(c notifyCall) []int {
			if c.To.check() != nil {
				return []int{0}
			}
			return []int{b.notifyHere(c.To, &outbox.Message{Data: bytes.Clone(q.Payload), Binary: c.Binary})}
		})
	case callConns:
		b.pools.background.Go(func() { cluster.Answer(q, b.connsHere) })
	case callCounts:
		b.pools.background.Go(func() { cluster.Answer(q, b.countsHere) })
	case callClose:
		b.pools.background.Go(func() { cluster.Answer(q, b.closeForNode) })
	}
}

// connsHere returns the connections of this process that match the filter.
func (b *Bridge) connsHere(f ConnFilter) (infos []ConnInfo) {
	picked, _ := b.pick(context.Background(), f)
	for _, l := range picked {
		if info, ok := b.match(l, &f); ok {
			info.Data = nil // it stays in this process
			infos = append(infos, info)
		}
	}
	return infos
}

func (b *Bridge) countsHere(struct{}) (counts []sessionConns) {
	for id, n := range b.links.Sessions() {
		counts = append(counts, sessionConns{id, n})
	}
	return counts
}

// notifyNodes is notifyHere for the other nodes.
func (b *Bridge) notifyNodes(ctx context.Context, to To, m *outbox.Message) (taken int, err error) {
	err = askNodes(ctx, b, to, callNotify, notifyCall{to, m.Binary}, m.Data, func(_ string, n int) bool {
		taken += n
		return true
	})
	return taken, err
}

// connsOfNodes yields the connections of the other nodes.
func (b *Bridge) connsOfNodes(ctx context.Context, f *ConnFilter, yield func(ConnInfo, error) bool) error {
	return askNodes(ctx, b, f.to(), callConns, f, nil, func(node string, info ConnInfo) bool {
		info.Node = node
		return yield(info, nil)
	})
}

// countsOfNodes returns the numbers of connections on the other nodes by session. With
// ErrNodeSilent they are those of the nodes that have answered.
func (b *Bridge) countsOfNodes(ctx context.Context) (counts map[string]int, err error) {
	counts = make(map[string]int)
	err = askNodes(ctx, b, To{All: true}, callCounts, nil, nil, func(_ string, c sessionConns) bool {
		counts[c.SessionID] += c.N
		return true
	})
	return counts, err
}

// closeOnNodes makes the other nodes close connections, and returns the number of these.
func (b *Bridge) closeOnNodes(ctx context.Context, of To, c closeCall) (closed int, err error) {
	err = askNodes(ctx, b, of, callClose, c, nil, func(_ string, n int) bool {
		closed += n
		return c.ConnID == "" || closed == 0 // an ID names one connection
	})
	return closed, err
}

// askNodes asks the other nodes that may have the connections, and calls each with every item of
// their answers, until it returns false. ErrNodeSilent, ErrStoreUnavailable.
func askNodes[T any](ctx context.Context, b *Bridge, of To, kind string, body any, payload []byte,
	each func(node string, item T) bool,
) error {
	if b.cluster == nil {
		return nil
	}
	to, err := b.audience(ctx, of)
	if err != nil {
		return err
	}
	err = cluster.Ask(ctx, b.cluster, to, kind, body, payload, each)
	if err != nil && !errors.Is(err, ErrNodeSilent) {
		return gateway.Unavailable(ctx, "ask other nodes", err)
	}
	return err
}

// audience returns the subscriptions of the nodes that may have the connections.
func (b *Bridge) audience(ctx context.Context, of To) (to cluster.Audience, err error) {
	switch {
	case of.All:
		return cluster.Audience{All: true}, nil
	case of.SessionID != "":
		return cluster.Audience{Sessions: []string{of.SessionID}}, nil
	case of.ClientID != "":
		return cluster.Audience{Clients: []string{of.ClientID}}, nil
	}
	limited, cancel := context.WithTimeout(ctx, b.opts.StoreTimeout)
	defer cancel()
	all, err := b.gateway.ByUser(limited, of.UserID)
	if err != nil {
		return to, err
	}
	for rec, err := range all {
		if err != nil {
			return to, gateway.Unavailable(ctx, "find the user's sessions", err)
		}
		if rec.UserID == of.UserID {
			to.Sessions = append(to.Sessions, rec.ID)
		}
	}
	return to, nil
}
