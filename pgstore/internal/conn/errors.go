package conn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

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
	queryCanceled        = "57014"
)

// reason returns how to fix an error of PostgreSQL, or "", and the sentinel that it matches, or nil.
func reason(code string) (advice string, sentinel error) {
	switch code {
	case "28000", "28P01":
		return "PostgreSQL rejects the user name or the password, or pg_hba.conf doesn't admit it", ErrDenied
	case "3D000":
		return "there is no such database: create it", nil
	case "42501":
		return "the role lacks a right; docs/postgres.md has the required ones", ErrDenied
	case "3F000", "42P01", "42883", "42703":
		return "the schema has been removed or changed while the store was open", ErrSchema
	case "25006":
		return "this server is read-only, as a standby is: connect to the primary " +
			"(several hosts in the URL, with target_session_attrs=read-write)", ErrServer
	case diskFull:
		return "the disk of PostgreSQL is full", ErrFull
	case "53200":
		return "PostgreSQL is out of memory", ErrFull
	case tooManyConnections:
		return "PostgreSQL has no connections left: raise max_connections, or lower pool_max_conns", ErrFull
	case "57P03":
		return "PostgreSQL is starting up or shutting down: try again later", nil
	case "57P01", "57P02", "57P05":
		return "PostgreSQL has ended the connection: try again", nil
	case serializationFailure, deadlock:
		return "nothing was changed: try again", ErrAborted
	case queryCanceled:
		return "PostgreSQL has cancelled the statement: statement_timeout is too short", ErrTimeout
	case "55P03":
		return "PostgreSQL has cancelled the statement: lock_timeout is too short", ErrTimeout
	case "25P03", "25P04":
		return "PostgreSQL has ended the transaction", ErrTimeout
	}
	return "", nil
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
		advice, sentinel := reason(reply.Code)
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
	code := codeOf(err)
	return code == serializationFailure || code == deadlock
}

// cancelled reports whether PostgreSQL has cancelled the statement, and so undone it. If the statement's
// context has not ended, another statement may have been meant: one whose caller has left, and that had
// the connection before. On a busy server the request to cancel it arrives late.
func cancelled(err error) bool { return codeOf(err) == queryCanceled }

// codeOf returns the SQLSTATE of PostgreSQL's reply, "" for an error that isn't one.
func codeOf(err error) string {
	var reply *pgconn.PgError
	if errors.As(err, &reply) {
		return reply.Code
	}
	return ""
}

// disconnected reports whether a connection that existed was lost before the statement had a result.
func disconnected(err error) bool {
	var reply *pgconn.PgError
	if errors.As(err, &reply) {
		return reply.Code == "57P01" || reply.Code == "57P02" // the server ends
	}
	var connecting *pgconn.ConnectError
	return err != nil && !errors.As(err, &connecting) && (errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE))
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
