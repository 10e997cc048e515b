package membership

import (
	"sync/atomic"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/internal/terms"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/scripts"
	"github.com/sessionbridge/sessionbridge/store"
)

// Config is what a Member needs. All fields are required.
type Config struct {
	Conn       *conn.Conn
	Scripts    *scripts.Scripts
	Background *background.Group  // runs the member; its end is the member's
	Prefixes   []string           // the key prefix of each shard
	OnChange   func(store.Change) // is called for each change, one at a time
}

// Member is a node among others. Start makes one. It is safe for concurrent use.
type Member struct {
	life     *terms.Life[*term, item]
	conn     *conn.Conn
	scripts  *scripts.Scripts
	prefixes []string

	deregistered atomic.Bool

	// By shard:
	held       []terms.Held[string]
	tombstones []tombstones
	answered   []terms.Instant // when Redis last replied
	heard      []terms.Instant // when the node last received its own message
	joinedAs   []string        // the name of the last term in which the node has joined; for the shard's goroutine only
}

// Start starts a member. It joins in the background.
func Start(c Config) *Member {
	n := len(c.Prefixes)
	m := &Member{
		conn: c.Conn, scripts: c.Scripts, prefixes: c.Prefixes,
		held: make([]terms.Held[string], n), tombstones: make([]tombstones, n),
		answered: make([]terms.Instant, n), heard: make([]terms.Instant, n), joinedAs: make([]string, n),
	}
	m.life = terms.New(terms.Config[*term, item]{
		Store: "redisstore", Background: c.Background, Ready: c.Conn.Ready, OnChange: c.OnChange,
		Open:     func(t *terms.Term) *term { return newTerm(m, t) },
		Run:      (*term).run,
		Requests: func(t *term, it item) chan<- *request { return t.shards[it.shard].requests },
	})
	m.life.Begin()
	return m
}

// Name returns the name in the current term, "" before the first.
func (m *Member) Name() string { return m.life.Name() }
