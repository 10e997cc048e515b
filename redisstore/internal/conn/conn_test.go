package conn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/scripts"
	"github.com/sessionbridge/sessionbridge/store"
)

func connect(t *testing.T, server *redistest.Server, timeout time.Duration) *Conn {
	t.Helper()
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{server.Addr()}, DisableCache: true, DisableRetry: true, AlwaysPipelining: true,
	})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return &Conn{Client: client, Timeout: timeout}
}

func TestErrors(t *testing.T) {
	server := redistest.Start(t)
	c := connect(t, server, time.Minute)
	loaded, err := scripts.Load()
	require.NoError(t, err)
	call := loaded.Tidy.On("sb:{0}:", "e", "5", "0")

	_, err = c.Run(t.Context(), "testing", call)
	require.NoError(t, err)
	_, err = c.RunInt(t.Context(), "testing", call)
	require.ErrorIs(t, err, ErrDamaged, "it returns no number")
	require.ErrorContains(t, err, "testing")

	server.Do("SET", "sb:{0}:e", "not a sorted set")
	_, err = c.Run(t.Context(), "testing", call)
	require.ErrorContains(t, err, "WRONGTYPE")
	other := loaded.Tidy.On("sb:{0}:", "u", "7", "0")
	replies, err := c.RunAll(t.Context(), "testing", []scripts.Call{other, call, other})
	require.ErrorContains(t, err, "WRONGTYPE")
	require.Len(t, replies, 2, "the replies of those that succeeded")

	cause := errors.New("the client went away")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	_, err = c.Run(ctx, "testing", call)
	require.ErrorIs(t, err, cause)
	require.ErrorIs(t, c.Explain(ctx, "testing", context.Canceled), cause)

	require.True(t, c.Close())
	require.False(t, c.Close())
	_, err = c.Run(t.Context(), "testing", call)
	require.ErrorIs(t, err, store.ErrClosed)
	_, err = c.DoAll(t.Context(), "testing", nil)
	require.ErrorIs(t, err, store.ErrClosed)
	require.ErrorIs(t, c.Explain(t.Context(), "testing", rueidis.ErrClosing), store.ErrClosed)
	require.NoError(t, c.Explain(t.Context(), "testing", nil))
}

// TestTemporary: what may pass by itself, as far as Redis says.
func TestTemporary(t *testing.T) {
	c := connect(t, redistest.Start(t), time.Minute)
	for reply, want := range map[string]bool{
		"LOADING Redis is loading the dataset in memory": true,
		"CLUSTERDOWN The cluster is down":                true,
		"MASTERDOWN Link with MASTER is down":            true,
		"WRONGPASS invalid username-password pair":       false,
		"NOPERM this user has no permissions":            false,
		"ERR unknown command":                            false,
	} {
		err := c.Client.Do(t.Context(), c.Client.B().Eval().Script("return redis.error_reply(ARGV[1])").Numkeys(0).
			Arg(reply).Build()).Error()
		require.Equal(t, want, Temporary(c.Explain(t.Context(), "testing", err)), reply)
	}
	require.True(t, Temporary(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}))
	require.True(t, Temporary(&net.DNSError{Err: "no such host", IsNotFound: true}))
	require.False(t, Temporary(fmt.Errorf("connecting: %w", &tls.CertificateVerificationError{Err: errors.New("expired")})))
	require.False(t, Temporary(fmt.Errorf("%w: it is Redis 6", ErrServer)))
	require.False(t, Temporary(nil))
}

func TestTimeout(t *testing.T) {
	server := redistest.Start(t)
	c := connect(t, server, 100*time.Millisecond)
	require.Eventually(t, func() bool {
		_, err := c.DoAll(t.Context(), "testing", []rueidis.Completed{c.Client.B().Ping().Build()})
		return err == nil
	}, time.Minute, 20*time.Millisecond)
	server.Pause()
	_, err := c.DoAll(t.Context(), "testing", []rueidis.Completed{c.Client.B().Ping().Build()})
	require.ErrorIs(t, err, ErrTimeout)
	server.Resume()
}

// TestLimitReportsNoDeadline: the client would use a connection exclusively for a context with a
// deadline.
func TestLimitReportsNoDeadline(t *testing.T) {
	c := &Conn{Timeout: time.Minute}
	ctx, cancel := c.Limit(t.Context())
	_, ok := ctx.Deadline()
	require.False(t, ok)
	require.NoError(t, ctx.Err())
	cancel()
	require.Error(t, ctx.Err())
}
