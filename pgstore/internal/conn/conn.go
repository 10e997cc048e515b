// Package conn executes statements in PostgreSQL for a store.
//
// Every operation ends with its context or after the store's timeout, whichever comes first. A
// statement is executed again only if none of it had been sent, if PostgreSQL has rolled it back because
// of others, or if it may be executed twice. Errors say which operation failed and, where PostgreSQL names
// a reason, how to fix it; they match the sentinels of this package, store.ErrClosed, or the cause of the
// context.
package conn

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/store"
)

// Conn executes statements on a pool of connections. It is safe for concurrent use.
type Conn struct {
	Pool    *pgxpool.Pool
	Timeout time.Duration // of an operation

	closed atomic.Bool
}

// Close fails all operations from now on with store.ErrClosed. It returns false if Conn was closed
// before. The pool stays open.
func (c *Conn) Close() bool { return !c.closed.Swap(true) }

// Ready returns an error if no operation may begin: the store is closed, or the context has ended.
func (c *Conn) Ready(ctx context.Context, doing string) error {
	if c.closed.Load() {
		return store.ErrClosed
	}
	if ctx.Err() != nil {
		return fmt.Errorf("pgstore: %s: %w", doing, context.Cause(ctx))
	}
	return nil
}

const (
	// attempts is how often a statement is sent if the connections turn out to be closed, as all of a
	// pool are after a restart of the server.
	attempts = 20
	// executions is how often a statement is executed that PostgreSQL rolls back because of others.
	executions = 5
	// pause is how long the first pause before such a repetition is at most; each is twice as long.
	pause = 4 * time.Millisecond
)

// Query executes a statement and calls scan for each row. doing names the operation in errors. An
// error of scan means that the row isn't one of this package.
func (c *Conn) Query(ctx context.Context, doing string, scan func(pgx.Rows) error, sql string, args ...any) error {
	return c.run(ctx, doing, false, scan, sql, args)
}

// Repeat is Query for a statement that may be executed twice, such as a SELECT: it is sent again on
// another connection if the connection is lost, as all of a pool are by a restart of the server.
func (c *Conn) Repeat(ctx context.Context, doing string, scan func(pgx.Rows) error, sql string, args ...any) error {
	return c.run(ctx, doing, true, scan, sql, args)
}

func (c *Conn) run(
	ctx context.Context, doing string, repeatable bool, scan func(pgx.Rows) error, sql string, args []any,
) error {
	if err := c.Ready(ctx, doing); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	var err error
	for i := range executions {
		var rows int
		rows, err = c.execute(limited, repeatable, scan, sql, args)
		again := rolledBack(err) || i == 0 && cancelled(err)
		if rows > 0 || !again || !sleep(limited, pause<<i) {
			break
		}
	}
	return c.Explain(ctx, doing, err)
}

// execute executes a statement on connections that work, and returns how many rows it has read.
func (c *Conn) execute(
	ctx context.Context, repeatable bool, scan func(pgx.Rows) error, sql string, args []any,
) (rows int, err error) {
	for range attempts {
		rows, err = c.query(ctx, scan, sql, args)
		again := pgconn.SafeToRetry(err) || repeatable && rows == 0 && disconnected(err)
		if err == nil || !again || ctx.Err() != nil {
			break
		}
	}
	return rows, err
}

func (c *Conn) query(ctx context.Context, scan func(pgx.Rows) error, sql string, args []any) (n int, err error) {
	rows, err := c.Pool.Query(ctx, sql, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		n++
		if err := scan(rows); err != nil {
			return n, err
		}
	}
	return n, rows.Err()
}

// sleep sleeps for a random part of d. It returns false if the context ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	return background.Sleep(ctx, rand.N(d))
}

// Row executes a statement that returns one row, and reads its columns into dst.
func (c *Conn) Row(ctx context.Context, doing string, dst []any, sql string, args ...any) error {
	found := false
	return c.row(doing, &found, c.Query(ctx, doing, func(rows pgx.Rows) error {
		found = true
		return rows.Scan(dst...)
	}, sql, args...))
}

// RepeatRow is Row for a statement that may be executed twice.
func (c *Conn) RepeatRow(ctx context.Context, doing string, dst []any, sql string, args ...any) error {
	found := false
	return c.row(doing, &found, c.Repeat(ctx, doing, func(rows pgx.Rows) error {
		found = true
		return rows.Scan(dst...)
	}, sql, args...))
}

func (c *Conn) row(doing string, found *bool, err error) error {
	if err == nil && !*found {
		err = Damaged(doing, pgx.ErrNoRows)
	}
	return err
}

// Exec executes a statement that returns nothing of interest.
func (c *Conn) Exec(ctx context.Context, doing, sql string, args ...any) error {
	return c.Query(ctx, doing, func(pgx.Rows) error { return nil }, sql, args...)
}
