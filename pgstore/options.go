package pgstore

import (
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sessionbridge/sessionbridge/pgstore/internal/codec"
)

// Options configures Open and New. A zero field, or nil Options, means the default.
type Options struct {
	// Schema is the schema of the store's tables and functions, so that several stores can share a
	// database. At most 63 bytes. Default "sessionbridge".
	Schema string

	// NoMigrate makes Open return ErrSchema instead of creating the schema or bringing it up to date,
	// for roles without the right to do so: Schema returns the statements for an administrator.
	NoMigrate bool

	// ListenDSN is the DSN of the connection on which a node is notified of changes, for a pool that
	// connects through PgBouncer in transaction mode, which drops LISTEN without an error: the address
	// of PostgreSQL itself. It is to be the same database; the role needs no right to the schema.
	// Default: the DSN of the pool.
	ListenDSN string

	// Timeout limits an operation, regardless of the context. An operation of several statements has
	// that long for each. Default 3 s.
	Timeout time.Duration
}

const (
	defaultSchema  = "sessionbridge"
	defaultTimeout = 3 * time.Second
	maxName        = 63 // of an identifier in PostgreSQL
)

func (o *Options) withDefaults() (Options, error) {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Schema == "" {
		out.Schema = defaultSchema
	}
	if out.Timeout == 0 {
		out.Timeout = defaultTimeout
	}
	switch {
	case len(out.Schema) > maxName || !codec.Text(out.Schema):
		return out, fmt.Errorf("pgstore: Options.Schema is %q; it must be UTF-8 of at most %d bytes", out.Schema, maxName)
	case out.Timeout < 0:
		return out, fmt.Errorf("pgstore: Options.Timeout is %v; it must not be negative", out.Timeout)
	}
	return out, nil
}

// listening returns the configuration of ListenDSN, nil without one.
func (o *Options) listening() (*pgx.ConnConfig, error) {
	if o.ListenDSN == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	config, err := pgx.ParseConfig(o.ListenDSN)
	if err != nil {
		return nil, fmt.Errorf("pgstore: Options.ListenDSN: %w", err) // pgx redacts the password
	}
	setDefaults(config, o)
	return config, nil
}
