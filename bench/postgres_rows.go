package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

const (
	postgresConns = 4 // of each side
	scsName       = "scs pgxstore"
)

// postgresGroups compare the store in PostgreSQL with bare statements and another store, on a server
// that all use in turn.
func postgresGroups() []group {
	a := &postgresArena{}
	against := func(name string, ours, peer postgresOp, line row, rivals ...rival) group {
		return group{
			name: "postgres/" + name, ours: a.side(ours), peer: a.side(peer), rows: []row{line}, rivals: rivals,
			rounds: 5, fixture: a,
		}
	}
	rivalOf := func(peer postgresOp, name string, better target) rival {
		return rival{peer: a.side(peer), rows: []row{{name, perSecond, better}}}
	}
	op := func(name string, width int) postgresOp { return postgresOp{name, width} }
	return []group{
		against("get, 1 in flight", op("ours get", 1), op("SELECT 1", 1), row{"", perSecond, timesBetter(0.75)},
			rivalOf(op("scs find", 1), scsName, timesBetter(0.95))),
		against("get, 64 in flight", op("ours get", 64), op("scs find", 64), row{"", perSecond, timesBetter(2)}),
		against("set, 1 in flight", op("ours set", 1), op("bare update", 1), row{"", perSecond, timesBetter(0.85)}),
		against("set, 64 in flight", op("ours set", 64), op("scs commit", 64), row{"", perSecond, timesBetter(2.5)},
			rivalOf(op("bare update", 64), "a bare update", target{})),
		against("set with news, 64 in flight", op("ours set, held", 64), op("ours set", 64),
			row{"", perSecond, timesBetter(0.85)}),
		against("touch, 1 in flight", op("ours touch", 1), op("bare touch", 1), row{"", perSecond, timesBetter(2)}),
		against("touch, 64 in flight", op("ours touch", 64), op("bare touch", 64), row{"", perSecond, timesBetter(4)}),
		against("sweep, sessions", op("ours sweep", 1), postgresOp{}, row{"", perSecond, moreThan(20_000)}),
		{
			name: "postgres/growth", ours: a.growth(), rounds: 1, fixture: a,
			rows: []row{
				{"table after 20 updates each", tableGrowth, atMostTimes(1.1)},
				{"indexes", indexGrowth, atMostTimes(1.05)},
				{"HOT updates", hotShare, atLeastShare(0.99)},
			},
		},
	}
}

// What the growth row is read off: sizes after many updates, as multiples of those before.
const (
	tableGrowth metric = "table-times"
	indexGrowth metric = "index-times"
	hotShare    metric = "hot-share"
)

// postgresOp is an operation, and how many of it are under way at once. Without a name there is none.
type postgresOp struct {
	name  string
	width int
}

// postgresArena is a PostgreSQL that all sides use in turn. It is started when it is needed first.
type postgresArena struct {
	quick  bool
	server *postgresServer
	doers  *postgresDoers
}

func (a *postgresArena) prepare(quick bool, _ io.Writer) { a.quick = quick }

func (a *postgresArena) close() (err error) {
	if a.doers != nil {
		err = a.doers.close()
	}
	if a.server != nil {
		err = errors.Join(err, a.server.close())
	}
	a.doers, a.server = nil, nil
	return err
}

func (a *postgresArena) open() error {
	if a.doers != nil {
		return nil
	}
	server, err := startPostgres()
	if err != nil {
		return err
	}
	a.server = server
	a.doers, err = newPostgresDoers(server, a.sessions())
	return err
}

func (a *postgresArena) sessions() int {
	if a.quick {
		return 300
	}
	return 20_000
}

// lasts is how long a side is measured in a round.
func (a *postgresArena) lasts() time.Duration {
	if a.quick {
		return 20 * time.Millisecond
	}
	return 2 * time.Second
}

// side measures an operation for some time.
func (a *postgresArena) side(op postgresOp) side {
	if op.name == "" {
		return side{}
	}
	return side{op.name, func() (*subject, error) {
		if err := a.open(); err != nil {
			return nil, err
		}
		return &subject{
			measure: func(bool) (sample, error) {
				n, took, err := a.doers.during(op, a.lasts())
				return sample{perSecond: float64(n) / took.Seconds()}, err
			},
			close: func() error { return nil },
		}, nil
	}}
}

// growth updates each session of a store of its own 20 times, while autovacuum is on.
func (a *postgresArena) growth() side {
	return side{oursName, func() (*subject, error) {
		if err := a.open(); err != nil {
			return nil, err
		}
		return &subject{measure: func(bool) (sample, error) { return a.grow() }, close: func() error { return nil }}, nil
	}}
}

func (a *postgresArena) grow() (_ sample, err error) {
	const schema, each = "growth", 20
	st, err := a.server.store(schema)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	n := a.sessions()
	revisions := make([]uint64, n)
	set := func(ctx context.Context, i int) (int, error) {
		i = i * 7919 % n // neighbours in the table are not updated together, as those of one time are not
		revision, err := st.Set(ctx, postgresSession(i, revisions[i]))
		revisions[i] = revision
		return 1, err
	}
	insert := func(ctx context.Context, i int) (_ int, err error) {
		revisions[i], err = st.Set(ctx, postgresSession(i, 0))
		return 1, err
	}
	if _, err := spread(n, redisWidth, insert); err != nil {
		return nil, err
	}
	if err := st.Optimize(context.Background()); err != nil {
		return nil, err
	}
	table, index, err := a.doers.sizes(schema)
	if err != nil {
		return nil, err
	}
	for range each { // of which each begins when all are done, so that no session is written twice at once
		if _, err := spread(n, redisWidth, set); err != nil {
			return nil, err
		}
	}
	hot, err := a.doers.hot(schema, each*n)
	if err != nil {
		return nil, err
	}
	tableNow, indexNow, err := a.doers.sizes(schema)
	return sample{tableGrowth: tableNow / table, indexGrowth: indexNow / index, hotShare: hot}, err
}

// held is how sessions are held by another node, which is told of changes.
func held(node store.Node, ids []string) error {
	_, err := spread(len(ids), redisWidth, func(ctx context.Context, i int) (int, error) {
		return 1, node.Hold(ctx, ids[i], "")
	})
	return err
}
