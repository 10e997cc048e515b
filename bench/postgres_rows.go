package main

import (
	"context"
	"errors"
	"io"
	"slices"
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
	a, slow := &postgresArena{}, &postgresArena{slower: slowDisk}
	op := func(name string, width int) postgresOp { return postgresOp{name, width} }
	return slices.Concat([]group{
		a.against("get, 1 in flight", op("ours get", 1), op("SELECT 1", 1), timesBetter(0.75)).
			and(a, op("scs find", 1), scsName, timesBetter(0.95)),
		a.against("get, 64 in flight", op("ours get", 64), op("scs find", 64), timesBetter(2)),
		a.against("set, 1 in flight", op("ours set", 1), op("bare update", 1), timesBetter(0.85)),
		a.against("set, 64 in flight", op("ours set", 64), op("scs commit", 64), timesBetter(2.5)).
			and(a, op("bare update", 64), "a bare update", target{}),
		a.against("set with news, 64 in flight", op("ours set, held", 64), op("ours set", 64), timesBetter(0.85)),
		a.against("touch, 1 in flight", op("ours touch", 1), op("bare touch", 1), timesBetter(2)),
		a.against("touch, 64 in flight", op("ours touch", 64), op("bare touch", 64), timesBetter(4)),
		a.against("sweep, sessions", op("ours sweep", 1), postgresOp{}, moreThan(20_000)),
		{
			name: "postgres/sweep under load", rounds: 5, fixture: a,
			ours: a.measured("ours", a.sweepUnderLoad),
			rows: []row{{"sessions", sweptRate, moreThan(20_000)}},
			rivals: []rival{{
				peer: a.measured("undisturbed", a.loadAlone),
				rows: []row{{"others' gets and sets: p99.9", p999Ns, extraUnder(10 * time.Millisecond)}},
			}},
		},
		a.newsAfter("idle", 0, 2*time.Millisecond),
		a.newsAfter("64 writers", 64, 20*time.Millisecond),
		a.growth("postgres/growth", "after 20 updates each", 20, 1),
	}, []group{
		slow.against("slow disk, get, 1 in flight", op("ours get", 1), op("SELECT 1", 1), target{}).
			and(slow, op("scs find", 1), scsName, target{}),
		slow.against("slow disk, get, 64 in flight", op("ours get", 64), op("scs find", 64), target{}),
		slow.against("slow disk, set, 1 in flight", op("ours set", 1), op("scs commit", 1), timesBetter(1)).
			and(slow, op("bare update", 1), "a bare update", target{}),
		slow.against("slow disk, set, 64 in flight", op("ours set", 64), op("scs commit", 64), timesBetter(1)).
			and(slow, op("bare update", 64), "a bare update", target{}),
	}, []group{longGrowth()})
}

// against compares operations.
func (a *postgresArena) against(name string, ours, peer postgresOp, better target) group {
	return group{
		name: "postgres/" + name, ours: a.side(ours), peer: a.side(peer), rows: []row{{"", perSecond, better}},
		rounds: 5, fixture: a,
	}
}

// and returns the group with a further peer.
func (g group) and(a *postgresArena, peer postgresOp, name string, better target) group {
	g.rivals = append(g.rivals, rival{peer: a.side(peer), rows: []row{{name, perSecond, better}}})
	return g
}

// newsAfter measures how soon a node is notified, while so many goroutines write.
func (a *postgresArena) newsAfter(name string, writers int, limit time.Duration) group {
	return group{
		name: "postgres/news of a change, " + name, rounds: 5, fixture: a,
		ours: a.measured(oursName, func() (sample, error) { return a.doers.news(a.news(), writers) }),
		rows: []row{{"p50", p50Ns, target{}}, {"p99", p99Ns, under(limit)}},
	}
}

// growth updates each session of a store of its own so often, while autovacuum is on. The store has times as
// many sessions as others.
func (a *postgresArena) growth(name, when string, each, times int) group {
	return group{
		name: name, rounds: 1, fixture: a,
		ours: a.measured(oursName, func() (sample, error) { return a.grow(times*a.sessions(), each) }),
		rows: []row{
			{"table " + when, tableGrowth, atMostTimes(1.1)},
			{"indexes", indexGrowth, atMostTimes(1.05)},
			{"HOT updates", hotShare, atLeastShare(0.99)},
		},
	}
}

// longGrowth is growth with many more updates.
func longGrowth() group {
	a := &postgresArena{}
	g := a.growth("postgres/long growth", "of 100k sessions after 2M updates", 20, 5)
	g.onRequest = true
	return g
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
	slower time.Duration // each sync
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
	server, err := startPostgres(a.slower)
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

// news is how many changes a node is notified of in a round.
func (a *postgresArena) news() int {
	if a.quick {
		return 20
	}
	return 500
}

// side measures an operation for some time.
func (a *postgresArena) side(op postgresOp) side {
	if op.name == "" {
		return side{}
	}
	return a.measured(op.name, func() (sample, error) {
		n, took, err := a.doers.during(op, a.lasts())
		return sample{perSecond: float64(n) / took.Seconds()}, err
	})
}

// measured is a side that needs the server.
func (a *postgresArena) measured(name string, measure func() (sample, error)) side {
	return side{name, func() (*subject, error) {
		if err := a.open(); err != nil {
			return nil, err
		}
		return &subject{measure: func(bool) (sample, error) { return measure() }, close: func() error { return nil }}, nil
	}}
}

func (a *postgresArena) grow(n, each int) (_ sample, err error) {
	if a.quick {
		each = min(each, 3)
	}
	const schema = "growth"
	st, err := a.server.store(schema)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
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
