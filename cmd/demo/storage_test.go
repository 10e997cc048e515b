package main

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRestartKeepsCountersAndLogin: with default flags a visitor's session survives a restart.
func TestRestartKeepsCountersAndLogin(t *testing.T) {
	t.Chdir(t.TempDir())
	url, stop := start(t, "-addr", "127.0.0.1:0")
	v := newVisitor(t, url)
	v.post(t, "/api/increment", `{"by":2}`)
	v.post(t, "/api/login", `{"user":"ada"}`)
	require.True(t, *v.dial(t).do(t, `{"do":"increment","by":3}`).OK)
	before := v.get(t, "/api/session")
	require.NoError(t, stop())

	_, stop = start(t, "-addr", strings.TrimPrefix(url, "http://"))
	overSocket := v.dial(t).do(t, `{"do":"get"}`)
	for _, after := range []reply{v.get(t, "/api/session"), overSocket} {
		require.Equal(t, before.SessionID, after.SessionID)
		require.Equal(t, before.ClientID, after.ClientID)
		require.Equal(t, "ada", after.User)
		require.Equal(t, counts(2, 3, 5), after.counts())
	}
	v.post(t, "/api/logout", "")
	require.NoError(t, stop())

	_, stop = start(t, "-addr", strings.TrimPrefix(url, "http://"))
	require.Empty(t, v.get(t, "/api/session").User, "a logout survives a restart")
	require.NoError(t, stop())
}

// TestInMemoryOnlyTheBrowserIsKnownAgain: with a key file the client cookie is valid after a
// restart, but the session is gone.
func TestInMemoryOnlyTheBrowserIsKnownAgain(t *testing.T) {
	t.Chdir(t.TempDir())
	args := []string{"-store", "live", "-keys", "demo.keys", "-addr"}
	url, stop := start(t, append(args, "127.0.0.1:0")...)
	v := newVisitor(t, url)
	before := v.get(t, "/api/session")
	require.NoError(t, stop())

	_, stop = start(t, append(args, strings.TrimPrefix(url, "http://"))...)
	after := v.get(t, "/api/session")
	require.Equal(t, before.ClientID, after.ClientID)
	require.NotEqual(t, before.SessionID, after.SessionID)
	require.NoError(t, stop())
	require.Equal(t, []string{"demo.keys"}, files(t))
}

// TestItSaysWhereSessionsAreKept: the files that it names exist, and only their owner can read
// them.
func TestItSaysWhereSessionsAreKept(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string
		says  string
		files []string
	}{
		"by default": {
			nil, "kept in demo.db, and the keys of their cookies in demo.db.keys: both survive",
			[]string{"demo.db", "demo.db.keys", "demo.db.lock", "demo.db.wal.0", "demo.db.wal.1"},
		},
		"in another file": {
			[]string{"-store", "file:other", "-keys", "secret"},
			"kept in other, and the keys of their cookies in secret: both survive",
			[]string{"other", "other.lock", "other.wal.0", "other.wal.1", "secret"},
		},
		"in memory":              {[]string{"-store", "live"}, "kept in memory, and their cookies are signed with a random key: a restart ends them", nil},
		"in memory, with a file": {[]string{"-store", "live", "-keys", "k"}, "Client cookies stay valid with the keys in k", []string{"k"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			stopped, cancel := context.WithCancel(t.Context())
			cancel()
			var out bytes.Buffer
			require.NoError(t, run(stopped, append(c.args, "-addr", "127.0.0.1:0"), &out, io.Discard))
			require.Contains(t, out.String(), c.says)
			require.Equal(t, c.files, files(t))
		})
	}
}

// files returns the names of the files in the working directory, which must be readable only by
// their owner.
func files(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		if runtime.GOOS != "windows" { // it has no such modes
			require.Equal(t, fs.FileMode(0o600), info.Mode(), e.Name())
		}
		names = append(names, e.Name())
	}
	return names
}

// TestSecondProcessIsRefused: it reports which process has the store, changes nothing, and the
// first process continues.
func TestSecondProcessIsRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	url, stop := start(t, "-addr", "127.0.0.1:0")
	v := newVisitor(t, url)
	v.post(t, "/api/increment", `{"by":1}`)

	out, err := command(t, "-addr", "127.0.0.1:0").CombinedOutput()
	var failed *exec.ExitError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, 1, failed.ExitCode())
	require.Regexp(t, "^demo: can't keep sessions in demo.db, choose another file with -store file:PATH: "+
		"filestore: .*demo.db is in use by process "+strconv.Itoa(os.Getpid())+": one process at a time can have it open\n$", string(out))

	require.Equal(t, counts(2, 0, 2), v.post(t, "/api/increment", `{"by":1}`).counts())
	require.NoError(t, stop())
}
