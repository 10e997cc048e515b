package scripts

import (
	"reflect"
	"strings"
	"testing"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
)

// TestLoad: every script has a source of its own, and every file of lua/ is a part of one.
func TestLoad(t *testing.T) {
	loaded, err := Load()
	require.NoError(t, err)
	hashes, all := map[string]bool{}, ""
	for _, script := range each(loaded) {
		require.True(t, strings.HasPrefix(script.source, "#!lua"))
		require.False(t, hashes[script.hash])
		hashes[script.hash] = true
		all += script.source
	}
	files, err := sources.ReadDir("lua")
	require.NoError(t, err)
	for _, file := range files {
		text, err := sources.ReadFile("lua/" + file.Name())
		require.NoError(t, err)
		require.Contains(t, all, string(text), file.Name())
	}
}

func each(s *Scripts) (all []*Script) {
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		all = append(all, v.Field(i).Addr().Interface().(*Script))
	}
	return all
}

// TestServerAcceptsEveryScript: Redis compiles each of them, and its hash is the one that it is
// called by.
func TestServerAcceptsEveryScript(t *testing.T) {
	server := redistest.Start(t)
	loaded, err := Load()
	require.NoError(t, err)
	for _, script := range each(loaded) {
		reply := server.Do("SCRIPT", "LOAD", script.source)
		hash, err := reply.ToString()
		require.NoError(t, err)
		require.Equal(t, script.hash, hash)
	}
}

// TestUnknownScriptIsSentOnce: a server that doesn't know a script executes it once, also among
// several.
func TestUnknownScriptIsSentOnce(t *testing.T) {
	server := redistest.Start(t)
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{server.Addr()}, DisableCache: true})
	require.NoError(t, err)
	defer client.Close()
	increment, err := load("#!lua", nil)
	require.NoError(t, err)
	increment = newScript(increment.source + "return redis.call('INCR', ARGV[1] .. ARGV[2])")
	call := increment.On("p", "n")
	n, err := call.Run(t.Context(), client).AsInt64()
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	server.Do("SCRIPT", "FLUSH")
	sum := int64(0)
	for _, result := range RunAll(t.Context(), client, []Call{call, call, call}) {
		n, err := result.AsInt64()
		require.NoError(t, err)
		sum += n
	}
	require.EqualValues(t, 2+3+4, sum)
}
