package pgstore

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sessionbridge/sessionbridge/pgstore/internal/batch"
	"github.com/sessionbridge/sessionbridge/pgstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/pgstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/store"
)

// mostAtOnce is the number of reads, writes or touches of a statement.
const mostAtOnce = 128

// makeQueues makes the queues of reads, writes and touches: they have statements of their own while
// each of them can have a connection, and share one when they would wait for a connection.
func (b *backend) makeQueues(connections int) {
	b.gets = batch.New(batch.Config[getArgs, store.Record]{
		Background: b.background, Alone: connections, Most: mostAtOnce,
		Key: func(a getArgs) string { return key(a.app, a.id) }, One: b.get, Many: b.getAll,
	})
	b.sets = batch.New(batch.Config[setArgs, uint64]{
		Background: b.background, Alone: connections, Most: mostAtOnce,
		Key: func(a setArgs) string { return key(a.app, a.rec.ID) }, Own: setArgs.own, One: b.set, Many: b.setAll,
	})
	b.touches = batch.New(batch.Config[touchArgs, struct{}]{
		Background: b.background, Alone: connections, Most: mostAtOnce,
		Key: func(a touchArgs) string { return key(a.app, a.id) }, One: b.touch, Many: b.touchAll,
	})
}

// key returns a name of a session of an App. Neither name contains NUL.
func key(app, id string) string { return app + "\x00" + id }

type getArgs struct{ app, id string }

func (b *backend) get(ctx context.Context, a getArgs) (rec store.Record, err error) {
	found := false
	err = b.Repeat(ctx, "get", func(rows pgx.Rows) error {
		found = true
		rec, err = scan(rows)
		return err
	}, b.statements.get, a.app, a.id)
	if err == nil && !found {
		err = store.ErrNotFound
	}
	return rec, err
}

func (b *backend) getAll(ctx context.Context, all []getArgs) []batch.Result[store.Record] {
	apps, ids := make([]string, len(all)), make([]string, len(all))
	for i, a := range all {
		apps[i], ids[i] = a.app, a.id
	}
	results := fill(all, batch.Result[store.Record]{Err: store.ErrNotFound})
	err := b.Repeat(ctx, "get", func(rows pgx.Rows) error {
		var n int64
		rec, err := scan(rows, &n)
		if err != nil {
			return err
		}
		return put(results, n, batch.Result[store.Record]{Value: rec})
	}, b.statements.getAll, apps, ids)
	if err != nil {
		return fill(all, batch.Result[store.Record]{Err: err})
	}
	return results
}

type setArgs struct {
	actor, app string
	rec        *store.Record
}

func (a setArgs) own() setArgs {
	rec := a.rec.Clone()
	a.rec = &rec
	return a
}

func (b *backend) set(ctx context.Context, a setArgs) (uint64, error) {
	var status int64
	var told, holders []string
	err := b.Row(ctx, "set", []any{&status, &told, &holders}, b.statements.set,
		append([]any{a.actor, a.app}, codec.Args(a.rec)...)...)
	if err != nil {
		return 0, err
	}
	return b.stored(a, status, told, holders)
}

// stored returns the result of a write whose status is that of set_session, and notifies other nodes.
func (b *backend) stored(a setArgs, status int64, told, holders []string) (uint64, error) {
	switch status {
	case -1:
		return 0, store.ErrNotFound
	case conflict:
		return 0, store.ErrConflict
	case -3:
		return 0, store.ErrBusy
	}
	b.waker.Wake(told)
	b.waker.Stored(holders, a.rec.ID)
	return uint64(status), nil //nolint:gosec // not negative
}

func (b *backend) setAll(ctx context.Context, all []setArgs) []batch.Result[uint64] {
	actors, apps, recs := make([]string, len(all)), make([]string, len(all)), make([]*store.Record, len(all))
	for i, a := range all {
		actors[i], apps[i], recs[i] = a.actor, a.app, a.rec
	}
	type outcome struct {
		status        int64
		told, holders []string
	}
	outcomes := make(map[int]outcome, len(all))
	err := b.Query(ctx, "set", func(rows pgx.Rows) error {
		var n int
		var o outcome
		err := rows.Scan(&n, &o.status, &o.told, &o.holders)
		outcomes[n-1] = o
		return err
	}, b.statements.setAll, append([]any{actors, apps}, codec.ArgsOfAll(recs)...)...)
	results := fill(all, batch.Result[uint64]{Err: err})
	for i, a := range all {
		o, ok := outcomes[i]
		switch {
		case err == nil && ok:
			results[i].Value, results[i].Err = b.stored(a, o.status, o.told, o.holders)
		case err == nil:
			results[i].Err = conn.Damaged("set", pgx.ErrNoRows)
		case ofOneOnly(err):
			results[i].Value, results[i].Err = b.set(ctx, a)
		}
	}
	return results
}

type touchArgs struct {
	app, id string
	seen    int64
}

func (b *backend) touch(ctx context.Context, a touchArgs) (none struct{}, err error) {
	found := false
	err = b.RepeatRow(ctx, "touch", []any{&found}, b.statements.touch, a.app, a.id, a.seen)
	if err == nil && !found {
		err = store.ErrNotFound
	}
	return none, err
}

func (b *backend) touchAll(ctx context.Context, all []touchArgs) []batch.Result[struct{}] {
	apps, ids, seen := make([]string, len(all)), make([]string, len(all)), make([]int64, len(all))
	for i, a := range all {
		apps[i], ids[i], seen[i] = a.app, a.id, a.seen
	}
	results := fill(all, batch.Result[struct{}]{Err: store.ErrNotFound})
	err := b.Repeat(ctx, "touch", func(rows pgx.Rows) error {
		var n int64
		var found bool
		if err := rows.Scan(&n, &found); err != nil || !found {
			return err
		}
		return put(results, n, batch.Result[struct{}]{})
	}, b.statements.touchAll, apps, ids, seen)
	if err != nil {
		return fill(all, batch.Result[struct{}]{Err: err})
	}
	return results
}

// fill returns a result for each of all.
func fill[A, R any](all []A, with batch.Result[R]) []batch.Result[R] {
	results := make([]batch.Result[R], len(all))
	for i := range results {
		results[i] = with
	}
	return results
}

var errPlace = errors.New("a row for no argument")

// put sets the result of the nth argument, from 1 on.
func put[R any](results []batch.Result[R], n int64, r batch.Result[R]) error {
	if n < 1 || int(n) > len(results) {
		return conn.Damaged("batch", errPlace)
	}
	results[n-1] = r
	return nil
}

// ofOneOnly reports whether PostgreSQL has rejected a batch because of one of its values: classes 22,
// 23 and 54 of its codes.
func ofOneOnly(err error) bool {
	var reply *pgconn.PgError
	return errors.As(err, &reply) &&
		(strings.HasPrefix(reply.Code, "22") || strings.HasPrefix(reply.Code, "23") || strings.HasPrefix(reply.Code, "54"))
}
