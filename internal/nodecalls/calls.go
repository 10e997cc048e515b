package nodecalls

import (
	"bytes"
	"context"
	"errors"

	"github.com/sessionbridge/sessionbridge/internal/activity"
	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/errorcodes"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/outbox"
	"github.com/sessionbridge/sessionbridge/internal/presence"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/internal/workers"
)

// The kinds of questions.
const (
	kindNotify = "notify" // a notifyCall with the message as the payload; the answer is a number of connections
	kindConns  = "conns"  // a registry.Filter; the answer is Cs
	kindCounts = "counts" // an activity.Question, or nil; the answer is activity.Items
	kindOnline = "online" // IDs of users, none for all; the answer is those who have connections
	// kindPresence is a poll of package presence, with a presence.Since; the answer is presence.Items.
	// kindHint is its hint, and isn't answered.
	kindPresence = "presence"
	kindHint     = "presencehint"

	kindStatus = "status" // nothing; the answer is one S
	kindClose  = "close"  // a closeCall; the answer is a number of connections
	// kindCloseNamed is kindClose for a filter with an ID or a Name: a node of a version that doesn't
	// know these would close every connection.
	kindCloseNamed = "closenamed"
)

type notifyCall struct {
	To     registry.Selection `json:"to"`
	Binary bool               `json:"binary,omitempty"`
	Kept   bool               `json:"kept,omitempty"` // not for connections that keep their place
}

// closeCall is a CloseConn, with ConnID, or a CloseConns, with Filter.
type closeCall struct {
	ConnID string           `json:"conn,omitempty"`
	Filter *registry.Filter `json:"filter,omitempty"`
	Code   int              `json:"code"`
	Reason string           `json:"reason,omitempty"`
}

// Config is what Calls needs. C describes a connection, S a node; they are sent as JSON. Every field
// is set, except that Node may be nil.
type Config[C, S any] struct {
	Node       *cluster.Node
	Gateway    *gateway.Gateway
	Background *workers.Pool // answers every question but those to notify

	Status func() S // of this node

	// The following act on the connections of this process. Notify must not block. It, CloseConn and
	// CloseConns return how many there were.
	Notify     func(to *registry.Selection, m *outbox.Message, isKept bool) int
	Conns      func(f registry.Filter) []C
	Counts     func(activity.Question) []activity.Item
	Online     func(userIDs []string) []string
	Presence   func(presence.Since) []presence.Item
	Hinted     func()
	CloseConn  func(id string, code int, reason string) int
	CloseConns func(f *registry.Filter, code int, reason string) int
}

// Calls asks other nodes, and answers them. It is safe for concurrent use.
type Calls[C, S any] struct{ cfg Config[C, S] }

// New returns Calls.
func New[C, S any](cfg Config[C, S]) *Calls[C, S] { return &Calls[C, S]{cfg} }

// Answer answers a question of another node. It doesn't block. It queues messages to connections
// itself, so that they stay in order.
func (c *Calls[C, S]) Answer(q *cluster.Question) {
	switch q.Kind {
	case kindNotify:
		cluster.Answer(q, func(n notifyCall) []int {
			if n.To.Check() != nil {
				return []int{0}
			}
			m := &outbox.Message{Data: bytes.Clone(q.Payload), Binary: n.Binary}
			return []int{c.cfg.Notify(&n.To, m, n.Kept)}
		})
	case kindConns:
		c.cfg.Background.Go(func() { cluster.Answer(q, c.cfg.Conns) })
	case kindCounts:
		c.cfg.Background.Go(func() { cluster.Answer(q, c.cfg.Counts) })
	case kindStatus:
		c.cfg.Background.Go(func() { cluster.Answer(q, func(struct{}) []S { return []S{c.cfg.Status()} }) })
	case kindOnline:
		c.cfg.Background.Go(func() { cluster.Answer(q, c.cfg.Online) })
	case kindPresence:
		c.cfg.Background.Go(func() { cluster.Answer(q, c.cfg.Presence) })
	case kindHint:
		c.cfg.Hinted()
	case kindClose, kindCloseNamed:
		c.cfg.Background.Go(func() { cluster.Answer(q, c.close) })
	}
}

// close is CloseConn or CloseConns of another node.
func (c *Calls[C, S]) close(of closeCall) []int {
	switch {
	case errorcodes.CheckClose(of.Code, of.Reason) != nil: // another version may have other codes
		return []int{0}
	case of.Filter != nil:
		return []int{c.cfg.CloseConns(of.Filter, of.Code, of.Reason)}
	}
	return []int{c.cfg.CloseConn(of.ConnID, of.Code, of.Reason)}
}

// Notify sends a message to the connections of the other nodes, and returns how many have taken it.
func (c *Calls[C, S]) Notify(ctx context.Context, to *registry.Selection, m *outbox.Message) (taken int, err error) {
	err = ask(ctx, c, to, kindNotify, notifyCall{*to, m.Binary, false}, m.Data, func(_ string, n int) bool {
		taken += n
		return true
	})
	return taken, err
}

// NotifyKept sends a message that is kept to the connections of the other nodes that don't keep their
// place. It doesn't wait for them.
func (c *Calls[C, S]) NotifyKept(ctx context.Context, to *registry.Selection, m *outbox.Message) error {
	return c.tell(ctx, to, kindNotify, notifyCall{*to, m.Binary, true}, m.Data)
}

// tell is ask without an answer.
func (c *Calls[C, S]) tell(ctx context.Context, of *registry.Selection, kind string, body any, payload []byte) error {
	if c.cfg.Node == nil {
		return nil
	}
	to, err := c.audience(ctx, of)
	if err != nil {
		return err
	}
	if err = cluster.Tell(ctx, c.cfg.Node, to, kind, body, payload); err != nil {
		return gateway.Unavailable(ctx, "tell other nodes", err)
	}
	return nil
}

// Conns calls each with the connections of the other nodes, until it returns false. A node of
// another version may not know every field of the filter.
func (c *Calls[C, S]) Conns(ctx context.Context, f *registry.Filter, each func(node string, conn C) bool) error {
	return ask(ctx, c, f.Selection(), kindConns, f, nil, each)
}

// Counts calls each with the activity of the other nodes.
func (c *Calls[C, S]) Counts(ctx context.Context, q activity.Question, each func(activity.Item)) error {
	all := &registry.Selection{All: true}
	return ask(ctx, c, all, kindCounts, q, nil, func(_ string, i activity.Item) bool {
		each(i)
		return true
	})
}

// Online calls each with those of the users who have connections to other nodes, perhaps more than
// once; without users, with all who have.
func (c *Calls[C, S]) Online(ctx context.Context, userIDs []string, each func(userID string)) error {
	all := &registry.Selection{All: true}
	return ask(ctx, c, all, kindOnline, userIDs, nil, func(_, id string) bool {
		each(id)
		return true
	})
}

// Poll is presence.Config.Poll. It returns nil if some nodes are silent.
func (c *Calls[C, S]) Poll(
	ctx context.Context, since presence.Since, each func(node string, item presence.Item),
) error {
	all := &registry.Selection{All: true}
	err := ask(ctx, c, all, kindPresence, since, nil, func(node string, item presence.Item) bool {
		each(node, item)
		return true
	})
	if errors.Is(err, cluster.ErrSilent) {
		err = nil
	}
	return err
}

// Hint is presence.Config.Hint.
func (c *Calls[C, S]) Hint(ctx context.Context) error {
	return c.tell(ctx, &registry.Selection{All: true}, kindHint, struct{}{}, nil)
}

// Status calls each with the state of the other nodes, until it returns false.
func (c *Calls[C, S]) Status(ctx context.Context, each func(node string, state S) bool) error {
	return ask(ctx, c, &registry.Selection{All: true}, kindStatus, struct{}{}, nil, each)
}

// CloseConn closes the connection with the ID, on whatever other node it is, and returns the number
// of connections that it has begun to close.
func (c *Calls[C, S]) CloseConn(ctx context.Context, id string, code int, reason string) (closed int, err error) {
	of := closeCall{ConnID: id, Code: code, Reason: reason}
	err = ask(ctx, c, &registry.Selection{All: true}, kindClose, of, nil, func(_ string, n int) bool {
		closed += n
		return closed == 0
	})
	return closed, err
}

// CloseConns closes the connections of the other nodes that match the filter, and returns how many.
func (c *Calls[C, S]) CloseConns(
	ctx context.Context, f *registry.Filter, code int, reason string,
) (closed int, err error) {
	kind := kindClose
	if f.ID != "" || f.Name != "" {
		kind = kindCloseNamed
	}
	of := closeCall{Filter: f, Code: code, Reason: reason}
	err = ask(ctx, c, f.Selection(), kind, of, nil, func(_ string, n int) bool {
		closed += n
		return true
	})
	return closed, err
}

// ask asks the other nodes that may have the connections, and calls each with every item of their
// answers, until it returns false. cluster.ErrSilent, gateway.ErrUnavailable.
func ask[C, S, T any](
	ctx context.Context, c *Calls[C, S], of *registry.Selection, kind string, body any, payload []byte,
	each func(node string, item T) bool,
) error {
	if c.cfg.Node == nil {
		return nil
	}
	to, err := c.audience(ctx, of)
	if err != nil {
		return err
	}
	err = cluster.Ask(ctx, c.cfg.Node, to, kind, body, payload, each)
	if err != nil && !errors.Is(err, cluster.ErrSilent) {
		return gateway.Unavailable(ctx, "ask other nodes", err)
	}
	return err
}

// audience returns the subscriptions of the nodes that may have the connections.
func (c *Calls[C, S]) audience(ctx context.Context, of *registry.Selection) (to cluster.Audience, err error) {
	switch {
	case of.All, of.Name != "", len(of.Conns) > 0:
		return cluster.Audience{All: true}, nil
	case of.SessionID != "":
		return cluster.Audience{Sessions: []string{of.SessionID}}, nil
	case of.ClientID != "":
		return cluster.Audience{Clients: []string{of.ClientID}}, nil
	}
	to.Sessions, err = c.cfg.Gateway.SessionsOfUser(ctx, of.UserID)
	return to, err
}
