package redisstore_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore"
)

// asks reports whether each GetCached sends a command to the server.
func asks(t *testing.T, l *line, st *redisstore.Store) bool {
	t.Helper()
	rec := create(t, st)
	l.sent()
	for range 3 {
		got, err := st.GetCached(t.Context(), rec.ID)
		require.NoError(t, err)
		require.Equal(t, rec.Revision, got.Revision)
	}
	gets := slices.DeleteFunc(l.sent(), func(command string) bool { return command != "GET" })
	require.Contains(t, []int{1, 3}, len(gets))
	return len(gets) == 3
}

// TestS22_UserWithoutTheRightToCache: sessions are not cached if any right for invalidations is
// missing. If a cache was requested, Open returns an error.
func TestS22_UserWithoutTheRightToCache(t *testing.T) {
	t.Parallel()
	for _, missing := range []string{"-client|tracking", "-client|caching", "-client|trackinginfo", "-client"} {
		t.Run(missing, func(t *testing.T) {
			s := redistest.Start(t)
			l := newLine(t, s.Addr())
			s.Do(append([]string{"ACL", "SETUSER", "sessions", "on", ">password"}, strings.Fields(rights+" "+missing)...)...)
			url := strings.Replace(l.url(), "//", "//sessions:password@", 1)
			require.True(t, asks(t, l, open(t, url, nil)))

			_, err := redisstore.Open(t.Context(), url, &redisstore.Options{CacheBytes: 1 << 20})
			require.ErrorIs(t, err, redisstore.ErrServer)
			require.ErrorContains(t, err, "+client|tracking")
			require.ErrorContains(t, err, "Options.CacheBytes")
			require.NotContains(t, err.Error(), "password")
		})
	}
}

// TestCacheThatIsOff: without a cache GetCached is Get.
func TestCacheThatIsOff(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	l := newLine(t, s.Addr())
	require.False(t, asks(t, l, open(t, l.url(), nil)))
	require.False(t, asks(t, l, open(t, l.url(), &redisstore.Options{Shards: 4, Namespace: "four"})))
	require.False(t, asks(t, l, open(t, l.url(), nil).App("shop").(*redisstore.Store)))
	require.True(t, asks(t, l, open(t, l.url(), &redisstore.Options{CacheBytes: -1})))
	require.True(t, asks(t, l, open(t, l.url()+"?client_cache=0", nil)))
	require.True(t, asks(t, l, open(t, l.url()+"?protocol=2", nil)))

	addr := []string{l.listener.Addr().String()}
	for name, option := range map[string]rueidis.ClientOption{
		"no cache":                    {DisableCache: true},
		"not told of its own changes": {ClientTrackingOptions: []string{"OPTIN", "NOLOOP"}},
		"told of other keys":          {ClientTrackingOptions: []string{"BCAST", "PREFIX", "other:"}},
	} {
		option.InitAddress = addr
		require.True(t, asks(t, l, withClient(t, option)), name)
	}
	for name, option := range map[string]rueidis.ClientOption{
		"told of what it has read": {ClientTrackingOptions: []string{"OPTOUT"}},
		"told of everything":       {ClientTrackingOptions: []string{"BCAST"}},
		"told of these keys":       {ClientTrackingOptions: []string{"BCAST", "PREFIX", "sb:"}},
	} {
		option.InitAddress = addr
		require.False(t, asks(t, l, withClient(t, option)), name)
	}
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: addr})
	require.NoError(t, err)
	defer client.Close()
	st, err := redisstore.New(t.Context(), client, &redisstore.Options{CacheBytes: -1})
	require.NoError(t, err)
	require.True(t, asks(t, l, st))
}

// TestCacheBehindASentinel: Sentinels support client-side caching, too.
func TestCacheBehindASentinel(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	sentinel := redistest.StartSentinel(t, "sessions", master)
	st := open(t, sentinel.URL()+"?master_set=sessions", &redisstore.Options{CacheBytes: 1 << 20})
	rec := create(t, st)
	sees(t, st, rec)
	master.Do("CONFIG", "RESETSTAT")
	for range 5 {
		sees(t, st, rec)
	}
	require.NotContains(t, master.Info("commandstats"), "cmdstat_get")
	rec = changed(t, open(t, master.URL(), nil), rec)
	sees(t, st, rec)
}
