package redisstore

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestValueOfEveryLengthIsAnErrorOrARecord(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	rec := store.Record{
		ID: "a", UserID: strings.Repeat("ü", 100), ClientID: "5b4c8f0e-54a5-4d52-9a59-0a7c53f6d0c4", Addr: "[2001:db8::1]:443",
		UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", Data: []byte(`{}`),
		Created: now, Seen: now, Expires: now, RotatedAt: now, LoggedIn: now, Idle: time.Hour, Lifetime: -1, Writes: 1 << 60,
		TokenGeneration: 1<<64 - 1, PrevTokenHash: store.TokenHash{1}, TokenHash: store.TokenHash{2},
	}
	value := string(makeValue(&rec))
	got, err := recordOf("a", value)
	require.NoError(t, err)
	require.Equal(t, rec, got)
	for n := range len(value) - len(rec.Data) {
		_, err := recordOf("a", value[:n])
		require.ErrorIs(t, err, errValue, "%d bytes", n)
	}
	_, err = recordOf("a", "\x02"+value[1:])
	require.ErrorContains(t, err, "format")
}

func FuzzValue(f *testing.F) {
	rec := store.Record{ID: "a", UserID: "ada", UserAgent: "Mozilla/5.0", Data: []byte(`{}`)}
	f.Add(string(makeValue(&rec)))
	f.Fuzz(func(t *testing.T, value string) {
		rec, err := recordOf("a", value)
		if err != nil {
			require.ErrorIs(t, err, errValue)
			return
		}
		again, err := recordOf("a", string(makeValue(&rec)))
		require.NoError(t, err)
		rec.Revision = 0 // which the script sets
		require.Equal(t, rec, again)
	})
}

func TestUserAgentsAreAbbreviated(t *testing.T) {
	for _, agent := range []string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
	} {
		short, ok := abbreviate(agent)
		require.True(t, ok)
		require.LessOrEqual(t, len(short), 25, "%q", short)
		require.Equal(t, agent, expand(short))
	}
	for _, agent := range append([]string{"", "curl/8.5.0", "a.0.0.0.0.0"}, fragments[:]...) {
		short, ok := abbreviate(agent)
		require.True(t, ok)
		require.Equal(t, agent, expand(short))
	}
	_, ok := abbreviate("日本")
	require.False(t, ok, "what could be taken for a fragment is kept as it is")
}

// TestStoredFormIsFixed: another process, and the next version, must find what this one has stored.
func TestStoredFormIsFixed(t *testing.T) { // the numbers are FNV-1a and SHA-256 by another program
	require.Equal(t, 13, shardOf(memberOf("5b4c8f0e-54a5-4d52-9a59-0a7c53f6d0c4"), 16))
	require.Equal(t, 7, shardOf(memberOf("a"), 16))
	require.EqualValues(t, 0xfdee430d40bd, placeOf("ada"))
	require.Zero(t, placeOf(""))
	require.Equal(t, []string{"sb:{0}/a%3A%7Bb%7D%2F+:"}, prefixes("sb", "a:{b}/ ", 1))
	for n := range 40 {
		for _, c := range []string{"\x00", "\x01", "\x02", "a"} {
			id := strings.Repeat(c, n)
			member := memberOf(id)
			require.NotEqual(t, uuidtext.Size, len(member))
			got, err := idOf(member)
			require.NoError(t, err)
			require.Equal(t, id, got)
		}
	}
	require.Len(t, fragments, 33, "append only; then the format is another one")
}

func TestCheckServer(t *testing.T) {
	good := map[string]string{"redis_version": "7.0.15", "role": "master", "maxmemory": "0", "maxmemory_policy": "noeviction"}
	with := func(changes ...string) map[string]string {
		info := maps.Clone(good)
		for i := 0; i < len(changes); i += 2 {
			info[changes[i]] = changes[i+1]
		}
		return info
	}
	require.NoError(t, checkServer(good, false, false))
	require.NoError(t, checkServer(with("redis_version", "8.2.1"), false, false))
	require.NoError(t, checkServer(with("redis_version", "10.0.0"), false, false))
	require.NoError(t, checkServer(map[string]string{}, false, false), "one that says little, such as a service's")
	require.ErrorContains(t, checkServer(with("redis_version", "6.2.14"), false, false), "install Redis 7 or later")
	require.ErrorContains(t, checkServer(with("role", "slave", "master_host", "h", "master_port", "1"), false, false), "its master, h:1")
	require.NoError(t, checkServer(with("role", "slave"), true, false), "a cluster has some")
	require.NoError(t, checkServer(with("maxmemory_policy", "allkeys-lru"), false, false), "memory has no limit")
	require.ErrorContains(t, checkServer(with("maxmemory_policy", "allkeys-lru", "maxmemory", "1"), false, false), "noeviction")
	require.NoError(t, checkServer(with("maxmemory_policy", "allkeys-lru", "maxmemory", "1"), false, true))
}

func TestSeveralHosts(t *testing.T) {
	for url, want := range map[string]string{
		"redis://a:1":                  "redis://a:1",
		"redis://a:1,b:2,c:3":          "redis://a:1?addr=b:2&addr=c:3",
		"redis://u:p,w@a:1,b:2/3?x=y":  "redis://u:p,w@a:1/3?x=y&addr=b:2",
		"redis://a:1,b:2?master_set=m": "redis://a:1?master_set=m&addr=b:2",
		"unix:///run/a,b.sock":         "unix:///run/a,b.sock",
		"rediss://[::1]:1,[::2]:2/0":   "rediss://[::1]:1/0?addr=[::2]:2",
		"nothing":                      "nothing",
	} {
		require.Equal(t, want, severalHosts(url))
	}
}
