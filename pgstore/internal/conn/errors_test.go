package conn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testkit/testmain"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestMain(m *testing.M) { testmain.Run(m) }

// TestExplain: errors match what a caller can tell, and say how to fix what PostgreSQL names.
func TestExplain(t *testing.T) {
	c := &Conn{Timeout: time.Second}
	for code, want := range map[string]error{
		"25006": ErrServer, "42P01": ErrSchema, "42883": ErrSchema, "57014": ErrTimeout, "55P03": ErrTimeout,
		"28P01": ErrDenied, "42501": ErrDenied, "53100": ErrFull, "53300": ErrFull, "40P01": ErrAborted, "40001": ErrAborted,
	} {
		err := c.Explain(t.Context(), "testing", &pgconn.PgError{Code: code, Message: "no"})
		require.ErrorIs(t, err, want, code)
		require.ErrorContains(t, err, "testing")
	}
	for code, want := range map[string]string{
		"28P01": "the password", "42501": "a right", "53100": "the disk", "53300": "max_connections", "40P01": "try again",
	} {
		err := c.Explain(t.Context(), "testing", &pgconn.PgError{Code: code, Message: "no"})
		require.ErrorContains(t, err, want, code)
		for _, sentinel := range []error{ErrServer, ErrSchema, ErrTimeout, ErrDamaged} {
			require.NotErrorIs(t, err, sentinel)
		}
	}
	for _, sentinel := range []error{ErrServer, ErrSchema, ErrTimeout, ErrDamaged, ErrDenied, ErrFull, ErrAborted} {
		require.NotErrorIs(t, c.Explain(t.Context(), "testing", &pgconn.PgError{Code: "57P01", Message: "no"}), sentinel)
	}
	require.NoError(t, c.Explain(t.Context(), "testing", nil))
	require.ErrorIs(t, c.Explain(t.Context(), "testing", context.DeadlineExceeded), ErrTimeout)

	cause := errors.New("the client went away")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	require.ErrorIs(t, c.Explain(ctx, "testing", context.Canceled), cause)
	require.ErrorIs(t, c.Ready(ctx, "testing"), cause)

	require.True(t, c.Close())
	require.False(t, c.Close())
	require.ErrorIs(t, c.Explain(t.Context(), "testing", errors.New("closed pool")), store.ErrClosed)
	require.ErrorIs(t, c.Ready(t.Context(), "testing"), store.ErrClosed)
}

// TestTemporary: what may pass by itself.
func TestTemporary(t *testing.T) {
	for code, want := range map[string]bool{"57P03": true, "53300": true, "28P01": false, "42501": false, "3D000": false} {
		err := fmt.Errorf("connecting: %w", &pgconn.PgError{Code: code})
		require.Equal(t, want, Temporary(err), code)
	}
	require.True(t, Temporary(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}))
	require.True(t, Temporary(ErrTimeout))
	require.False(t, Temporary(fmt.Errorf("%w: too old", ErrServer)))
	require.False(t, Temporary(nil))
}
