package errorcodes_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/allowance"
	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/errorcodes"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/logins"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/internal/socket"
	"github.com/sessionbridge/sessionbridge/internal/tickets"
)

var errOwn = errors.New("the password of ann is x")

func TestEachErrorHasItsAnswers(t *testing.T) {
	for _, c := range []struct {
		err          error
		status, code int
		client       bool
	}{
		{nil, 200, 1000, false},
		{errOwn, 500, 1011, false},
		{&gateway.ValueError{Key: "k", Err: errOwn}, 500, 1011, false},
		{errorcodes.ErrHeadersSent, 500, 1011, false},
		{logins.ErrUserID, 400, 1011, true},
		{errorcodes.ErrConnID, 400, 1008, true},
		{errorcodes.ErrConnName, 400, 1008, true},
		{gateway.ErrMissing, 401, 4502, true},
		{gateway.ErrGone, 401, 4500, true},
		{errorcodes.ErrCredentials, 401, 4502, true},
		{errorcodes.ErrAuthAge, 401, 1011, true},
		{errorcodes.ErrCutOff, 401, 4502, true},
		{errorcodes.ErrOrigin, 403, 1008, true},
		{&allowance.Exceeded{Limit: "Options.X"}, 429, 1008, true},
		{tickets.ErrInvalid, 403, 1008, true},
		{logins.ErrTooMany, 403, 1011, true},
		{errorcodes.ErrConnMissing, 404, 1011, true},
		{gateway.ErrTokenRotated, 409, 4001, true},
		{gateway.ErrConflict, 409, 1011, true},
		{gateway.ErrTooLarge, 413, 1011, true},
		{errorcodes.ErrRefused, 422, 1008, true},
		{errorcodes.ErrHandshake, 400, 1011, true},
		{errorcodes.RefuseHandshake(426, errOwn), 426, 1011, true},
		{errorcodes.RefuseHandshake(501, errOwn), 501, 1011, false},
		{errorcodes.ErrTooManyConns, 429, 1008, true},
		{errorcodes.ErrTooManySessionConns, 429, 1008, true},
		{errorcodes.ErrTooManyAddrConns, 429, 1008, true},
		{gateway.ErrUnavailable, 503, 1013, false},
		{errorcodes.ErrFrozen, 503, 1013, false},
		{cluster.ErrSilent, 503, 1013, false},
		{errorcodes.ErrOverloaded, 503, 1013, false},
		{errorcodes.ErrShutdown, 503, 1012, false},
		{context.DeadlineExceeded, 503, 1013, false},
		{context.Canceled, 503, 1011, true},
		{websocket.CloseError{Code: 4242}, 500, 4242, false},
	} {
		for _, err := range []error{c.err, fmt.Errorf("wrapped: %w", c.err)} {
			if c.err == nil {
				err = nil
			}
			require.Equal(t, c.status, errorcodes.Status(err), "%v", err)
			require.Equal(t, c.code, errorcodes.CloseCode(err), "%v", err)
			require.Equal(t, c.client, errorcodes.CausedByClient(err), "%v", err)
			text := errorcodes.Text(err)
			require.NotEmpty(t, text)
			require.NotContains(t, text, "password", "the text of an error isn't for clients")
		}
	}
	require.Equal(t, 500, errorcodes.ErrorStatus(nil), "an answer to no error is one")
	require.Equal(t, 403, errorcodes.ErrorStatus(errorcodes.ErrOrigin))
}

func TestAnErrorOfSeveralKindsGetsEachAnswerFromTheFirst(t *testing.T) {
	for _, c := range []struct {
		err          error
		status, code int
		text         string
	}{
		{errorcodes.ErrIDTaken, 409, 1008, "in use"},
		{errorcodes.OfHandshake(tickets.ErrInvalid), 401, 4502, "ticket"},
		{fmt.Errorf("%w: %w", errorcodes.ErrRefused, gateway.ErrTooLarge), 413, 1008, "too large"},
		{fmt.Errorf("%w: %w", errorcodes.ErrRefused, errOwn), 422, 1008, "not allowed"},
		{fmt.Errorf("%w: %w", errorcodes.ErrRefused, errorcodes.ErrNoCookies), 500, 1011, "Internal"},
		{fmt.Errorf("%w: %w", errorcodes.ErrRefused, errorcodes.ErrNested), 500, 1011, "Internal"},
		{fmt.Errorf("%w: %w", errorcodes.ErrRefused, gateway.ErrUnavailable), 503, 1013, "later"},
		{errors.Join(gateway.ErrUnavailable, context.Canceled), 503, 1013, "later"},
		{errors.Join(gateway.ErrGone, gateway.ErrMissing), 401, 4500, "ended"},
	} {
		require.Equal(t, c.status, errorcodes.Status(c.err), "%v", c.err)
		require.Equal(t, c.code, errorcodes.CloseCode(c.err), "%v", c.err)
		require.Contains(t, errorcodes.Text(c.err), c.text)
	}
	require.False(t, errorcodes.CausedByClient(errors.Join(gateway.ErrUnavailable, context.Canceled)),
		"the change may have been stored")
}

func TestOfHandshakeChangesTicketsOnly(t *testing.T) {
	require.NoError(t, errorcodes.OfHandshake(nil))
	require.Equal(t, errOwn, errorcodes.OfHandshake(errOwn))
	err := errorcodes.OfHandshake(tickets.ErrInvalid)
	require.ErrorIs(t, err, gateway.ErrMissing)
	require.ErrorIs(t, err, tickets.ErrInvalid)
}

func TestARefusedHandshakeIsAlsoItsCause(t *testing.T) {
	err := errorcodes.RefuseHandshake(426, errOwn)
	require.ErrorIs(t, err, errorcodes.ErrHandshake)
	require.ErrorIs(t, err, errOwn)
}

func TestCodesThatAnApplicationMaySend(t *testing.T) {
	for _, code := range []int{1000, 1008, 1011, 1012, 1013, 3000, 4001, 4999} {
		require.NoError(t, errorcodes.CheckClose(code, strings.Repeat("x", 123)))
	}
	for _, code := range []int{-1, 0, 999, 1001, 1005, 1006, 1007, 1009, 1010, 1014, 1015, 2999, 5000} {
		require.ErrorContains(t, errorcodes.CheckClose(code, ""), "close code")
	}
	for _, reason := range []string{strings.Repeat("x", 124), "\xff"} {
		require.ErrorContains(t, errorcodes.CheckClose(1000, reason), "reason")
	}
}

func TestTheCauseOfACodeIsAnErrorThatIsAnsweredWithIt(t *testing.T) {
	for _, code := range []int{
		errorcodes.Reconnect, errorcodes.Shutdown, errorcodes.Unavailable, errorcodes.Destroyed, errorcodes.NoSession,
	} {
		require.Equal(t, code, errorcodes.CloseCode(errorcodes.Cause(code)))
	}
	for _, code := range []int{errorcodes.Expired, errorcodes.Evicted} {
		require.Equal(t, gateway.ErrGone, errorcodes.Cause(code))
	}
	for _, code := range []int{-1, 1000, errorcodes.Policy, errorcodes.Failed, errorcodes.Idle, 4242} {
		require.Equal(t, socket.ErrClosed, errorcodes.Cause(code))
	}
}

func TestACloseHasTheReasonOfItsCode(t *testing.T) {
	refused := func(cause error) error { return fmt.Errorf("%w: %w", errorcodes.ErrRefused, cause) }
	for _, c := range []struct {
		err    error
		reason string
	}{
		{nil, ""},
		{errOwn, ""},
		{websocket.CloseError{Code: 4001, Reason: "mine"}, ""},
		{fmt.Errorf("%w: %w", gateway.ErrTokenRotated, websocket.CloseError{Code: 4242}), ""},
		{gateway.ErrTokenRotated, "session changed: reconnect"},
		{gateway.ErrMissing, "no session: ask for one over HTTP"},
		{errorcodes.OfHandshake(tickets.ErrInvalid), "no session: ask for one over HTTP"},
		{gateway.ErrGone, ""},
		{errorcodes.ErrOrigin, ""},
		{errorcodes.ErrTooManyAddrConns, "there are too many connections from the address"},
		{errorcodes.ErrTooManySessionConns, "the session has too many connections"},
		{errorcodes.ErrIDTaken, "another connection has this ID"},
		{errorcodes.ErrNameTaken, "another connection has this name"},
		{errorcodes.ErrConnID, ""},
		{gateway.ErrUnavailable, "session store unavailable"},
		{errorcodes.ErrShutdown, "shutting down"},
		{refused(errOwn), "change refused"},
		{refused(errorcodes.ErrAuthAge), "change refused"},
		{refused(gateway.ErrUnavailable), "session store unavailable"},
		{refused(errorcodes.ErrNoCookies), ""},
		{refused(gateway.ErrGone), ""},
	} {
		require.Equal(t, c.reason, errorcodes.CloseReason(c.err), "%v", c.err)
	}
}

func TestARefusalOfTheRegistryIsAnErrorOfTheBridge(t *testing.T) {
	limits := registry.Limits{PerSession: 3, PerAddr: 7}
	for _, c := range []struct {
		err, want error
		text      string
	}{
		{registry.ErrIDInUse, errorcodes.ErrConnID, "another connection that is open has it"},
		{registry.ErrNameInUse, errorcodes.ErrConnName, "another connection that is open has it"},
		{registry.ErrSessionFull, errorcodes.ErrTooManySessionConns, "it has 3"},
		{registry.ErrAddrFull, errorcodes.ErrTooManyAddrConns, "it has 7"},
		{errOwn, errOwn, ""},
	} {
		err := errorcodes.OfConn(c.err, limits)
		require.ErrorIs(t, err, c.want)
		require.ErrorContains(t, err, c.text)
	}
	require.NoError(t, errorcodes.OfConn(nil, limits))
}
