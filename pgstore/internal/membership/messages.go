package membership

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/sessionbridge/sessionbridge/pgstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/store"
)

// Announce implements store.Node.
func (m *Member) Announce(ctx context.Context, clientID, sessionID string) error {
	const doing = "announce"
	if !codec.Text(clientID) || !codec.Text(sessionID) {
		return m.conn.Ready(ctx, doing)
	}
	return m.tell(ctx, doing, m.statements.announce, m.Name(), m.app, clientID, sessionID)
}

// Holders implements store.Node.
func (m *Member) Holders(ctx context.Context, sessionIDs, clientIDs []string) ([]string, error) {
	return m.names(ctx, "holders", m.statements.holders, m.app, m.Name(), texts(sessionIDs), texts(clientIDs))
}

// Nodes implements store.Node.
func (m *Member) Nodes(ctx context.Context) ([]string, error) {
	return m.names(ctx, "nodes", m.statements.nodes, m.app, m.Name())
}

// Send implements store.Node. The nodes can reply once this one has joined.
func (m *Member) Send(ctx context.Context, to []string, data []byte) error {
	const doing = "send"
	t, err := m.life.Current(ctx, doing)
	if err != nil || len(to) == 0 {
		return err
	}
	if data == nil {
		data = []byte{}
	}
	return m.tell(ctx, doing, m.statements.send, t.Name, m.app, texts(to), data)
}

// tell executes a statement that adds to inboxes, and wakes their nodes.
func (m *Member) tell(ctx context.Context, doing, statement string, args ...any) error {
	var told []string
	err := m.conn.Row(ctx, doing, []any{&told}, statement, args...)
	m.waker.Wake(told)
	return err
}

func (m *Member) names(ctx context.Context, doing, statement string, args ...any) (names []string, err error) {
	err = m.conn.Repeat(ctx, doing, func(rows pgx.Rows) error {
		var name string
		err := rows.Scan(&name)
		names = append(names, name)
		return err
	}, statement, args...)
	return names, err
}

// texts returns those of the names that PostgreSQL can store.
func texts(names []string) []string {
	some := make([]string, 0, len(names))
	for _, name := range names {
		if codec.Text(name) {
			some = append(some, name)
		}
	}
	return some
}

// Reserve implements store.Reserver.
func (m *Member) Reserve(ctx context.Context, id string) (release func(context.Context) error, err error) {
	name, reserved := m.Name(), !codec.Text(id)
	if !reserved {
		err = m.conn.Row(ctx, "reserve", []any{&reserved}, m.statements.reserve, name, m.app, id)
	}
	if err == nil && !reserved {
		err = store.ErrBusy
	}
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		if !codec.Text(id) {
			return nil
		}
		return m.conn.Exec(ctx, "release", m.statements.unreserve, name, m.app, id)
	}, nil
}
