package membership

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/internal/terms"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/scripts"
	"github.com/sessionbridge/sessionbridge/store"
)

const (
	patience = time.Minute
	tick     = 20 * time.Millisecond
	shards   = 2
)

// start starts a member with a client of its own, which ends with the test.
func start(t *testing.T, server *redistest.Server, onChange func(store.Change)) *Member {
	t.Helper()
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{server.Addr()}, DisableCache: true, DisableRetry: true, AlwaysPipelining: true,
	})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	loaded, err := scripts.Load()
	require.NoError(t, err)
	group := background.New()
	t.Cleanup(group.Close)
	m := Start(Config{
		Conn: &conn.Conn{Client: client, Timeout: patience}, Scripts: loaded, Background: group,
		Prefixes: codec.Prefixes("sb", "", shards), OnChange: onChange,
	})
	require.Eventually(t, func() bool { return !m.Contact().Heard.IsZero() }, patience, tick)
	return m
}

func ignore(store.Change) {}

// keysOf returns the keys of the kinds that the letters stand for.
func keysOf(t *testing.T, server *redistest.Server, letters string) (names []string) {
	t.Helper()
	reply := server.Do("KEYS", "sb:{?}:["+letters+"]*")
	names, err := reply.AsStrSlice()
	require.NoError(t, err)
	return names
}

// TestHeldForAsLongAsTheNodeLives: Redis forgets what is held after two days. Holding it again
// renews that.
func TestHeldForAsLongAsTheNodeLives(t *testing.T) {
	const items, day = 300, 24 * time.Hour
	server := redistest.Start(t)
	a, b := start(t, server, ignore), start(t, server, ignore)
	for i := range items {
		require.NoError(t, a.Hold(t.Context(), fmt.Sprint("session", i), fmt.Sprint("client", i)))
		require.NoError(t, b.Hold(t.Context(), fmt.Sprint("session", i), ""))
	}
	all := keysOf(t, server, "hk")
	require.Len(t, all, 2*items)
	for _, key := range append(all, keysOf(t, server, "o")...) {
		server.Do("PEXPIRE", key, "60000")
	}
	server.Do("DEL", all[0])
	term, err := a.life.Current(t.Context(), "test")
	require.NoError(t, err)
	for i, s := range term.shards {
		require.NoError(t, s.holdAgain(a.held[i].All()))
	}
	for _, key := range append(all, keysOf(t, server, "o")...) {
		if !strings.Contains(key, b.Name()) {
			reply := server.Do("PTTL", key)
			ms, err := reply.AsInt64()
			require.NoError(t, err)
			require.Greater(t, time.Duration(ms)*time.Millisecond, 2*day-time.Minute, key)
		}
	}
}

// TestUnknownInboxEntryIsAMissedChange: a later version may write entries in another format.
func TestUnknownInboxEntryIsAMissedChange(t *testing.T) {
	m := &Member{held: make([]terms.Held[string], 1), prefixes: []string{"sb:{0}:"}}
	s := &shard{term: &term{member: m}}
	for _, entry := range []string{"", "?", "x", "a", "e", "e\x05abc", "e\x03abc", "c", "c\x05abc", "mshort"} {
		change, ok := s.changeOf(entry)
		require.True(t, ok, "%q", entry)
		require.Equal(t, store.ChangeMissed, change.Kind, "%q", entry)
	}
	_, ok := s.changeOf("j")
	require.False(t, ok)
	_, ok = s.changeOf("a" + codec.Member("not held"))
	require.False(t, ok)
	m.held[0].Begin("h" + codec.Member("held"))
	change, ok := s.changeOf("e\x06logout" + codec.Member("held"))
	require.True(t, ok)
	require.Equal(t, store.Change{Kind: store.ChangeEnded, ID: "held", Reason: "logout"}, change)
	_, ok = s.changeOf("e\x06logout" + codec.Member("held"))
	require.False(t, ok, "the node no longer holds a session that has ended")
}

func TestStop(t *testing.T) {
	server := redistest.Start(t)
	m := start(t, server, ignore)
	server.Pause()
	require.NoError(t, m.Stop(t.Context()), "it doesn't wait for Redis")
	_, err := m.life.Current(t.Context(), "test")
	require.ErrorIs(t, err, store.ErrClosed)
	server.Resume()
	require.NotEmpty(t, keysOf(t, server, "n"), "the others aren't told")
	require.NoError(t, m.Leave(t.Context()))
	require.Empty(t, keysOf(t, server, "nhkoi"))
}

func TestStartAfterTheEnd(t *testing.T) {
	group := background.New()
	group.Close()
	m := Start(Config{Conn: &conn.Conn{}, Background: group, Prefixes: []string{""}, OnChange: ignore})
	require.ErrorIs(t, m.Hold(t.Context(), "s", ""), store.ErrClosed)
	require.NoError(t, m.Leave(context.WithoutCancel(t.Context())))
	require.Empty(t, m.Name())
}
