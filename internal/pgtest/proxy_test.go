package pgtest

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// TestMessages: notifications are dropped, and nothing else, wherever the pieces end.
func TestMessages(t *testing.T) {
	t.Parallel()
	const before, note, after = "R\x00\x00\x00\x08\x00\x00\x00\x00", "A\x00\x00\x00\x09hello", "Z\x00\x00\x00\x05IC\x00\x00\x00\x04"
	for drop, want := range map[bool]string{true: before + after, false: before + note + after} {
		for size := 1; size < len(before+note+after); size++ {
			m, got := messages{drops: func() bool { return drop }}, ""
			for rest := before + note + after; rest != ""; {
				n := min(size, len(rest))
				out, err := m.pass([]byte(rest[:n]))
				require.NoError(t, err)
				got, rest = got+string(out), rest[n:]
			}
			require.Equal(t, want, got)
		}
	}
	m := messages{}
	_, err := m.pass([]byte("HTTP/1.1 400"))
	require.ErrorIs(t, err, errMessage)
}

// TestProxy: statements pass while notifications are dropped, and a cut ends connections.
func TestProxy(t *testing.T) {
	t.Parallel()
	s := Start(t)
	p := StartProxy(t, s)
	conn, err := pgx.Connect(t.Context(), p.URL())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	_, err = conn.Exec(t.Context(), "LISTEN news")
	require.NoError(t, err)
	next := func() string {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		note, err := conn.WaitForNotification(ctx)
		require.NoError(t, err)
		return note.Payload
	}
	s.Exec(t, "NOTIFY news, '1'")
	require.Equal(t, "1", next())
	p.DropPushes()
	s.Exec(t, "NOTIFY news, '2'")
	require.Eventually(t, func() bool { return p.Dropped() == 1 }, patience, 10*time.Millisecond)
	_, err = conn.Exec(t.Context(), "SELECT 1")
	require.NoError(t, err)
	p.PassPushes()
	s.Exec(t, "NOTIFY news, '3'")
	require.Equal(t, "3", next())
	require.Equal(t, 1, p.Cut())
	_, err = conn.Exec(t.Context(), "SELECT 1")
	require.Error(t, err)
}
