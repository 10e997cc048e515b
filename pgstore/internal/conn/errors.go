package conn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sessionbridge/sessionbridge/store"
)

// The sentinels that package pgstore exports under the same names.
var (
	ErrTimeout = errors.New("pgstore: timeout")
	ErrServer  = errors.New("pgstore: unsuitable server")
	ErrSchema  = errors.New("pgstore: schema missing or of another version")
	ErrDamaged = errors.New("pgstore: damaged")
	ErrDenied  = errors.New("pgstore: access denied")
	ErrFull    = errors.New("pgstore: PostgreSQL is full")
	ErrAborted = errors.New("pgstore: transaction aborted because of others")
)

// Codes of PostgreSQL, from Appendix A of its manual.
const (
	serializationFailure = "40001"
	deadlock             = "40P01"
	diskFull             = "53100"
	tooManyConnections   = "53300"
)

// reason returns the sentinel that an error of PostgreSQL matches, or nil, and how to fix it, or "".
func reason(code string) (sentinel error, advice string) {
	switch code {
	case "28000", "28P01":
		return ErrDenied, "PostgreSQL rejects the user name or the password, or pg_hba.conf doesn't admit it"
	case "3D000":
		return nil, "there is no such database: create it"
	case "42501":
		return ErrDenied, "the role lacks a right; docs/postgres.md has the required ones"
	case "3F000", "42P01", "42883", "42703":
		return ErrSchema, "the schema has been removed or changed while the store was open"
	case "25006":
		return ErrServer, "this server is read-only, as a standby is: connect to the primary " +
			"(several hosts in the URL, with target_session_attrs=read-write)"
	case diskFull:
		return ErrFull, "the disk of PostgreSQL is full"
	case "53200":
		return ErrFull, "PostgreSQL is out of memory"
	case tooManyConnections:
		return ErrFull, "PostgreSQL has no connections left: raise max_connections, or lower pool_max_conns"
	case "57P03":
		return nil, "PostgreSQL is starting up or shutting down: try again later"
	case "57P01", "57P02", "57P05":
		return nil, "PostgreSQL has ended the connection: try again"
	case serializationFailure, deadlock:
		return ErrAborted, "nothing was changed: try again"
	case "57014":
		return ErrTimeout, "PostgreSQL has cancelled the statement: statement_timeout is too short"
	case "55P03":
		return ErrTimeout, "PostgreSQL has cancelled the statement: lock_timeout is too short"
	case "25P03", "25P04":
		return ErrTimeout, "PostgreSQL has ended the transaction"
	}
	return nil, ""
}

// Explain returns the error of an operation as the caller of the store sees it.
func (c *Conn) Explain(ctx context.Context, doing string, err error) error {
	var reply *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case c.closed.Load():
		return store.ErrClosed
	case ctx.Err() != nil:
		return fmt.Errorf("pgstore: %s: %w", doing, context.Cause(ctx))
	case errors.As(err, &reply):
		sentinel, advice := reason(reply.Code)
		if advice != "" {
			err = fmt.Errorf("%w: %s", err, advice)
		}
		if sentinel != nil {
			return fmt.Errorf("%w: %s: %w", sentinel, doing, err)
		}
		return fmt.Errorf("pgstore: %s: %w", doing, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %s: PostgreSQL did not reply within %v: %w", ErrTimeout, doing, c.Timeout, err)
	case strings.HasPrefix(err.Error(), "can't scan into dest"), isScan(err):
		return Damaged(doing, err)
	}
	return fmt.Errorf("pgstore: %s: %w", doing, err)
}

func isScan(err error) bool {
	var scan pgx.ScanArgError
	return errors.As(err, &scan)
}

// rolledBack reports whether PostgreSQL has undone the statement because of other transactions, so
// that it can be executed again.
func rolledBack(err error) bool {
	var reply *pgconn.PgError
	return errors.As(err, &reply) && (reply.Code == serializationFailure || reply.Code == deadlock)
}

// Damaged returns the error for a reply that this package doesn't understand.
func Damaged(doing string, err error) error { return fmt.Errorf("%w: %s: %w", ErrDamaged, doing, err) }

// Temporary reports whether the same operation may succeed later without a change of the
// configuration: PostgreSQL can't be reached, doesn't reply, or isn't ready.
func Temporary(err error) bool {
	var reply *pgconn.PgError
	if errors.As(err, &reply) {
		switch reply.Code {
		case "57P01", "57P02", "57P03", "57P05", tooManyConnections, serializationFailure, deadlock:
			return true
		}
		return false
	}
	var network net.Error
	return errors.Is(err, ErrTimeout) || errors.As(err, &network)
}
