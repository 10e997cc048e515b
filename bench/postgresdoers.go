package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/alexedwards/scs/pgxstore"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sessionbridge/sessionbridge/pgstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// postgresDoers does operations of all sides, each on the same number of sessions.
type postgresDoers struct {
	store     *pgstore.Store // ours, whose sessions another node holds for the operation that says so
	node      store.Node
	pool      *pgxpool.Pool // of the others
	scs       *pgxstore.PostgresStore
	ids       []string
	revisions []atomic.Uint64
	bare      []atomic.Int64
	waitFor   atomic.Pointer[expected]
	sweepTook time.Duration
}

func newPostgresDoers(s *postgresServer, sessions int) (d *postgresDoers, err error) {
	d = &postgresDoers{
		ids: make([]string, sessions), revisions: make([]atomic.Uint64, sessions), bare: make([]atomic.Int64, sessions),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	for i := range d.ids {
		d.ids[i] = idOf(i)
	}
	if d.store, err = s.store("ours"); err != nil {
		return d, err
	}
	if d.pool, err = s.pool(); err != nil {
		return d, err
	}
	ctx := context.Background()
	for _, sql := range []string{
		"CREATE TABLE sessions (token text PRIMARY KEY, data bytea NOT NULL, expiry timestamptz NOT NULL)", // of scs
		"CREATE INDEX sessions_expiry_idx ON sessions (expiry)",
		"CREATE TABLE bare (id text PRIMARY KEY, revision int8 NOT NULL, seen int8 NOT NULL, data bytea NOT NULL)",
	} {
		if _, err := d.pool.Exec(ctx, sql); err != nil {
			return d, err
		}
	}
	d.scs = pgxstore.NewWithCleanupInterval(d.pool, 0)
	for _, make := range []func(context.Context, int) (int, error){d.ourSet, d.scsCommit, d.bareInsert} {
		if _, err := spread(sessions, redisWidth, make); err != nil {
			return d, err
		}
	}
	for _, sql := range []string{"VACUUM ANALYZE", "CHECKPOINT"} {
		if _, err := d.pool.Exec(ctx, sql); err != nil {
			return d, err
		}
	}
	return d, nil
}

func (d *postgresDoers) close() (err error) {
	if d.node != nil {
		err = d.node.Leave(context.Background())
	}
	if d.store != nil {
		err = errors.Join(err, d.store.Close())
	}
	if d.pool != nil {
		d.pool.Close()
	}
	return err
}

// during does an operation for some time, width at once, and returns how often and how long.
func (d *postgresDoers) during(op postgresOp, lasts time.Duration) (n int, took time.Duration, err error) {
	if op.name == "ours sweep" {
		return d.sweep(len(d.ids))
	}
	do, ok := map[string]func(context.Context, int) (int, error){
		"ours get": d.ourGet, "ours set": d.ourSet, "ours set, held": d.ourSet, "ours touch": d.ourTouch,
		"SELECT 1": d.selectOne, "scs find": d.scsFind, "scs commit": d.scsCommit,
		"bare update": d.bareUpdate, "bare touch": d.bareTouch,
	}[op.name]
	if !ok {
		return 0, 0, fmt.Errorf("no operation is called %s", op.name)
	}
	if err := d.hold(op.name == "ours set, held"); err != nil {
		return 0, 0, err
	}
	return repeated(do, len(d.ids), op.width, lasts)
}

// repeated calls do with one session after the other for some time, so many at once, and returns how many
// it has met, and how long it took.
func repeated(
	do func(ctx context.Context, i int) (int, error), sessions, width int, lasts time.Duration,
) (n int, took time.Duration, err error) {
	var next, done atomic.Int64
	start := time.Now()
	_, err = spread(width, width, func(ctx context.Context, _ int) (int, error) {
		for time.Since(start) < lasts {
			met, err := do(ctx, int(next.Add(1))*7919%sessions)
			if err != nil {
				return 0, err
			}
			done.Add(int64(met))
		}
		return 0, nil
	})
	return int(done.Load()), time.Since(start), err
}

// hold makes another node hold all sessions, or none.
func (d *postgresDoers) hold(all bool) error {
	switch {
	case all && d.node == nil:
		d.node = d.store.Watch(d.notified)
		return held(d.node, d.ids)
	case !all && d.node != nil:
		node := d.node
		d.node = nil
		return node.Leave(context.Background())
	}
	return nil
}

func (d *postgresDoers) ourGet(ctx context.Context, i int) (int, error) {
	return whole(d.store.Get(ctx, d.ids[i]))
}

func (d *postgresDoers) ourSet(ctx context.Context, i int) (int, error) {
	return setOne(ctx, d.store, i, &d.revisions[i])
}

// postgresSession returns the nth session, created an hour ago, as it is when that revision is updated.
func postgresSession(n int, revision uint64) store.Record {
	return fileSession(n, revision+1, time.Now())
}

func (d *postgresDoers) ourTouch(ctx context.Context, i int) (int, error) {
	return 1, d.store.Touch(ctx, d.ids[i], time.Now())
}

// sweep removes the sessions of an App that has so many for it.
func (d *postgresDoers) sweep(sessions int) (n int, took time.Duration, err error) {
	if err := d.plant(sessions); err != nil {
		return 0, 0, err
	}
	return d.removeAll(sessions)
}

// swept is the App whose sessions are swept.
func (d *postgresDoers) swept() *pgstore.Store {
	return d.store.App("sweep").(*pgstore.Store) //nolint:forcetypeassert // it is documented
}

// plant stores sessions that are to be swept.
func (d *postgresDoers) plant(sessions int) error {
	app := d.swept()
	_, err := spread(sessions, redisWidth, func(ctx context.Context, i int) (int, error) {
		_, err := app.Set(ctx, fileSession(i, 1, time.Now()))
		return 1, err
	})
	return err
}

// removeAll sweeps them.
func (d *postgresDoers) removeAll(sessions int) (n int, took time.Duration, err error) {
	const piece = 250
	app := d.swept()
	for start, later := time.Now(), time.Now().Add(48*time.Hour); ; {
		recs, err := app.Sweep(context.Background(), later, piece)
		if n += len(recs); err != nil || len(recs) < piece {
			return n, time.Since(start), errors.Join(err, same("sessions swept", n, sessions))
		}
	}
}

func (d *postgresDoers) selectOne(ctx context.Context, _ int) (n int, err error) {
	err = d.pool.QueryRow(ctx, "SELECT 1").Scan(&n)
	return n, err
}

func (d *postgresDoers) scsFind(_ context.Context, i int) (int, error) {
	data, found, err := d.scs.Find(d.ids[i])
	if err == nil && (!found || len(data) != len(sessionData)) {
		err = errors.New("scs: not found")
	}
	return 1, err
}

func (d *postgresDoers) scsCommit(_ context.Context, i int) (int, error) {
	return 1, d.scs.Commit(d.ids[i], []byte(sessionData), time.Now().Add(24*time.Hour))
}

func (d *postgresDoers) bareInsert(ctx context.Context, i int) (int, error) {
	_, err := d.pool.Exec(ctx, "INSERT INTO bare VALUES ($1, 0, 0, $2)", d.ids[i], []byte(sessionData))
	return 1, err
}

func (d *postgresDoers) bareUpdate(ctx context.Context, i int) (int, error) {
	revision := d.bare[i].Load()
	tag, err := d.pool.Exec(ctx,
		"UPDATE bare SET revision = revision + 1, seen = $3, data = $4 WHERE id = $1 AND revision = $2",
		d.ids[i], revision, time.Now().UnixMicro(), []byte(sessionData))
	if err == nil && tag.RowsAffected() == 1 {
		d.bare[i].Store(revision + 1)
	}
	return int(tag.RowsAffected()), err
}

func (d *postgresDoers) bareTouch(ctx context.Context, i int) (int, error) {
	tag, err := d.pool.Exec(ctx, "UPDATE bare SET seen = $2 WHERE id = $1 AND seen < $2", d.ids[i], time.Now().UnixMicro())
	return int(tag.RowsAffected()), err
}

// sizes returns the bytes of the table of sessions and of its indexes.
func (d *postgresDoers) sizes(schema string) (table, indexes float64, err error) {
	const sql = "SELECT pg_table_size($1::regclass)::float8, pg_indexes_size($1::regclass)::float8"
	err = d.pool.QueryRow(context.Background(), sql, schema+".sessions").Scan(&table, &indexes)
	return table, indexes, err
}

// hot returns the share of HOT updates, once PostgreSQL has counted so many updates.
func (d *postgresDoers) hot(schema string, updates int) (share float64, err error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		var all, hot float64
		err := d.pool.QueryRow(context.Background(), `SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables
			WHERE schemaname = $1 AND relname = 'sessions'`, schema).Scan(&all, &hot)
		if err != nil {
			return 0, err
		}
		if int(all) >= updates || time.Now().After(deadline) {
			return hot / all, same("updates", int(all), updates)
		}
	}
}
