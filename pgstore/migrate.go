package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sessionbridge/sessionbridge/pgstore/internal/schema"
)

// Schema returns the SQL statements that create the schema with that name, "" for the default, for an
// administrator to run in one transaction. The role of the application then needs no right to create
// anything, and opens the store with Options.NoMigrate. docs/postgres.md has the rights that it needs.
func Schema(name string) string {
	if name == "" {
		name = defaultSchema
	}
	return schema.SQL(name, 0)
}

// migrate brings the schema up to date. Processes that are started at the same time do it one after
// the other.
func (b *backend) migrate(ctx context.Context, not bool) error {
	version, err := b.version(ctx)
	switch {
	case err != nil:
		return err
	case version == schema.Version():
		return nil
	case version > schema.Version():
		return fmt.Errorf("%w: %s is of version %d; this program supports %d: install a later one",
			ErrSchema, schema.Quote(b.schema), version, schema.Version())
	case not:
		return fmt.Errorf("%w: %s is of version %d, 0 for none, and Options.NoMigrate is set; version %d is required",
			ErrSchema, schema.Quote(b.schema), version, schema.Version())
	}
	const doing = "creating the schema"
	limited, cancel := context.WithTimeout(ctx, migrationTime)
	defer cancel()
	err = pgx.BeginFunc(limited, b.Pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(limited, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", "sessionbridge:"+b.schema)
		if err != nil {
			return err
		}
		if err := tx.QueryRow(limited, b.statements.version, b.schema).Scan(&version); err != nil {
			return err
		}
		if version > 0 {
			if err := tx.QueryRow(limited, b.statements.number).Scan(&version); err != nil {
				return err
			}
		}
		if version >= schema.Version() {
			return nil // another process has done it
		}
		_, err = tx.Conn().PgConn().Exec(limited, schema.SQL(b.schema, version)).ReadAll()
		return err
	})
	return b.Explain(ctx, doing, err)
}

// migrationTime limits a migration.
const migrationTime = time.Minute

// version returns the version of the schema, 0 if there is none.
func (b *backend) version(ctx context.Context) (version int, err error) {
	const doing = "reading the version of the schema"
	if err := b.Row(ctx, doing, []any{&version}, b.statements.version, b.schema); err != nil || version == 0 {
		return 0, err
	}
	return version, b.Row(ctx, doing, []any{&version}, b.statements.number)
}
