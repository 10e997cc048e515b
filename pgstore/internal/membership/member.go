package membership

import (
	"context"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/internal/terms"
	"github.com/sessionbridge/sessionbridge/pgstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/store"
)

// Config is what a Member needs. All fields but Listen are required.
type Config struct {
	Conn       *conn.Conn
	Background *background.Group // runs the member; its end is the member's
	Waker      *Waker
	Listen     *pgx.ConnConfig    // of the connection for notifications; nil: that of Conn's pool
	Schema     string             // quoted
	App        string             // whose sessions the node holds
	OnChange   func(store.Change) // is called for each change, one at a time
}

// Member is a node among others. Start makes one. It is safe for concurrent use.
type Member struct {
	life       *terms.Life[*term, item]
	conn       *conn.Conn
	waker      *Waker
	listen     *pgx.ConnConfig // nil: that of the pool
	app        string
	statements statements

	deregistered atomic.Bool
	joinedBefore bool // a term has joined; for the goroutine of the terms only
	held         terms.Held[item]
	answered     terms.Instant // when PostgreSQL last replied
	heard        terms.Instant // when the node last received its own notification
}

// Start starts a member. It joins in the background.
func Start(c Config) *Member {
	m := &Member{
		conn: c.Conn, waker: c.Waker, listen: c.Listen, app: c.App, statements: newStatements(c.Schema),
	}
	m.life = terms.New(terms.Config[*term, item]{
		Store: "pgstore", Background: c.Background, Ready: c.Conn.Ready, OnChange: c.OnChange,
		Open:     func(t *terms.Term) *term { return newTerm(m, t) },
		Run:      (*term).run,
		Requests: func(t *term, _ item) chan<- *request { return t.requests },
	})
	m.life.Begin()
	return m
}

// Name returns the name in the current term, "" before the first.
func (m *Member) Name() string { return m.life.Name() }

// Contact implements store.Node.
func (m *Member) Contact() store.Contact {
	answered := m.answered.Load()
	return store.Contact{Answered: answered, Reached: answered, Heard: m.heard.Load()}
}

// SessionEnded is called when a session was removed through the node.
func (m *Member) SessionEnded(id string) { m.held.Remove(item{kindSession, id}) }

// Leave implements store.Node. If the context ends first, or PostgreSQL is unreachable, it returns an
// error; the member has stopped nevertheless.
func (m *Member) Leave(ctx context.Context) error {
	const doing = "leave"
	if err := m.life.Stop(ctx, doing); err != nil {
		return err
	}
	if m.deregistered.Load() {
		return nil
	}
	err := m.conn.Exec(ctx, doing, m.statements.remove, m.life.UsedNames())
	if err != nil && m.conn.Ready(ctx, doing) == nil {
		return err
	}
	m.deregistered.Store(true)
	return nil
}
