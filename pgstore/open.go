package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/pgstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/pgstore/internal/membership"
)

// Open connects to PostgreSQL and returns its store, which the caller closes. The DSN is a URL,
//
//	postgres://user:password@host:5432/database
//	postgres://user@host1,host2/database?target_session_attrs=read-write   the primary of several servers
//
// or the keywords and values of libpq, with the parameters of pgxpool.ParseConfig: pool_max_conns is
// the maximum number of connections, by default 4 or the number of CPUs. Few are better than many,
// because each costs the server memory, and a statement takes much less than a millisecond. A node
// uses one more.
//
// Open creates the schema, or brings it up to date; see Options.NoMigrate. It tries again while
// PostgreSQL is unreachable or starting, until the context ends, or for 10 s if the context has no
// deadline. An attempt that is under way then may take Options.Timeout longer. The error is that of
// the last attempt, and the cause of the context's end. The context is for opening only.
//
// An error that matches ErrServer or ErrSchema says what to change. No error contains the password.
func Open(ctx context.Context, dsn string, opts *Options) (*Store, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("pgstore: open: %w", err) // pgx redacts the password
	}
	configure(config, &o)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("pgstore: open: %w", context.Cause(ctx))
	}
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, openPatience, errNoDeadline)
		defer cancel()
	}
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), config)
	if err != nil {
		return nil, fmt.Errorf("pgstore: open: %w", err)
	}
	st, err := connect(ctx, pool, &o)
	if err != nil {
		pool.Close()
		return nil, err
	}
	st.backend.ownsPool = true
	return st, nil
}

const (
	openPatience = 10 * time.Second       // of Open, with a context without a deadline
	openPause    = 250 * time.Millisecond // between attempts
)

var errNoDeadline = fmt.Errorf("gave up after %v, as the context of Open has no deadline", openPatience)

// setDefaults sets what the DSN has not set.
func setDefaults(config *pgx.ConnConfig, o *Options) {
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = o.Timeout
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "sessionbridge"
	}
}

// configure completes the configuration of a pool. The end of a caller's context cancels its statement
// instead of closing the connection, so that clients that go away cost no new connections.
func configure(config *pgxpool.Config, o *Options) {
	setDefaults(config.ConnConfig, o)
	config.ConnConfig.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: cancelPatience}
	}
}

// cancelPatience is how long a cancelled statement may take to end before its connection is closed.
const cancelPatience = time.Second

// connect tries until the context ends.
func connect(ctx context.Context, pool *pgxpool.Pool, o *Options) (*Store, error) {
	pause := time.NewTicker(openPause)
	defer pause.Stop()
	var last error
	for {
		st, err := New(ctx, pool, o)
		if err == nil || !conn.Temporary(err) {
			if err != nil && ctx.Err() != nil && last != nil {
				return nil, fmt.Errorf("%w (%w)", last, context.Cause(ctx))
			}
			return st, err
		}
		last = err
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w (%w)", last, context.Cause(ctx))
		case <-pause.C:
		}
	}
}

// New returns the store in the database that the pool connects to. The caller closes the pool, after
// the store. Through PgBouncer in transaction mode the pool needs
// default_query_exec_mode=cache_describe, unless PgBouncer is 1.21 or later and has
// max_prepared_statements.
func New(ctx context.Context, pool *pgxpool.Pool, opts *Options) (*Store, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if pool == nil {
		return nil, errors.New("pgstore: new: the pool is nil")
	}
	listen, err := o.listening()
	if err != nil {
		return nil, err
	}
	b := &backend{
		Conn: &conn.Conn{Pool: pool, Timeout: o.Timeout}, schema: o.Schema, background: background.New(),
		statements: newStatements(o.Schema), listen: listen,
	}
	b.waker = membership.NewWaker(b.Conn, b.background)
	b.makeQueues(int(pool.Config().MaxConns))
	if err := b.checkServer(ctx); err != nil {
		return nil, err
	}
	if err := b.migrate(ctx, o.NoMigrate); err != nil {
		return nil, err
	}
	return b.store(""), nil
}

// minVersion is the oldest PostgreSQL that the tests have been run with.
const minVersion = 14

func (b *backend) checkServer(ctx context.Context) error {
	const doing = "checking the server"
	var number int
	var encoding, isolation string
	err := b.Row(ctx, doing, []any{&number, &encoding, &isolation}, `SELECT current_setting('server_version_num')::int,
		current_setting('server_encoding'), current_setting('transaction_isolation')`)
	switch {
	case err != nil:
		return err
	case number/10000 < minVersion:
		return fmt.Errorf("%w: it is PostgreSQL %d; version %d or later is required", ErrServer, number/10000, minVersion)
	case encoding != "UTF8":
		return fmt.Errorf("%w: the encoding of the database is %s; UTF8 is required", ErrServer, encoding)
	case isolation != "read committed": // a change would miss holders that are newer than its snapshot
		return fmt.Errorf("%w: default_transaction_isolation is %s; read committed is required: "+
			"set it for the role or in the DSN", ErrServer, isolation)
	}
	return nil
}
