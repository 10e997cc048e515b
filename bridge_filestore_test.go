package sessionbridge_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/filestore"
)

// onFile is the whole application over a file.
type onFile struct {
	*app
	store *filestore.Store
}

func startOnFile(t *testing.T, path string, opts *filestore.Options, keys [][]byte) *onFile {
	t.Helper()
	st, err := filestore.Open(path, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) }) // after the application's end
	return &onFile{start(t, st, &bridge.Options{Keys: keys}), st}
}

// end stops it as a program does that is asked to.
func (f *onFile) end(t *testing.T) {
	t.Helper()
	f.stop()
	require.NoError(t, f.store.Close())
}

// killed returns a copy of the store's files as they are now, which is what the program leaves if it is killed.
func killed(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), filepath.Base(path))
	for _, suffix := range []string{"", ".wal.0", ".wal.1"} {
		data, err := os.ReadFile(path + suffix)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to+suffix, data, 0o600))
	}
	return to
}

// TestRestartOnFile: session, values, user and cookies outlive the process, over HTTP and over a socket; and the program finds the session
// before its browser is back.
func TestRestartOnFile(t *testing.T) {
	path, keys := filepath.Join(t.TempDir(), "sessions.db"), [][]byte{newKey()}
	before := startOnFile(t, path, nil, keys)
	ada, bob := newBrowser(t, before.app), newBrowser(t, before.app)
	require.Equal(t, "1", bob.get("/increment"))
	require.Equal(t, "1", ada.get("/increment"))
	require.Equal(t, "ada", ada.get("/login?user=ada"))
	open := ada.dial()
	require.Equal(t, "2", open.ask("increment"))
	session, client := ada.get("/id"), ada.get("/client")
	hung := make(chan int)
	go func() { hung <- open.closed() }()
	before.end(t)
	require.Equal(t, bridge.CodeShutdown, <-hung)

	after := startOnFile(t, path, nil, keys)
	byClient, err := after.bridge.GetByClientID(t.Context(), client)
	require.NoError(t, err)
	require.Equal(t, session, byClient.ID())
	require.Equal(t, "ada", byClient.UserID())
	ada, bob = ada.at(after.app), bob.at(after.app)
	back := ada.dial()
	require.Equal(t, session, back.ask("id"))
	require.Equal(t, "ada", back.ask("user"))
	require.Equal(t, "3", back.ask("increment"))
	require.Equal(t, session, ada.get("/id"))
	require.Equal(t, client, ada.get("/client"))
	require.Equal(t, "ada", ada.get("/user"))
	require.Equal(t, "4", ada.get("/increment"))
	require.Equal(t, "2", bob.get("/increment"))
	require.Empty(t, bob.get("/user"))

	require.Equal(t, "bye", ada.get("/logout"))
	require.Equal(t, bridge.CodeDestroyed, back.closed(), "a logout reaches the sockets as before")
}

// TestG2_NoResurrectionAcrossRestarts: who has logged out stays so, whatever cookies come back, over HTTP and over a socket, after an orderly
// end and after none; and who still has the session's ID can't bring it back.
func TestG2_NoResurrectionAcrossRestarts(t *testing.T) {
	for _, end := range []string{"closed", "killed"} {
		t.Run(end, func(t *testing.T) {
			path, keys := filepath.Join(t.TempDir(), "sessions.db"), [][]byte{newKey()}
			before := startOnFile(t, path, nil, keys)
			ada := newBrowser(t, before.app)
			require.Equal(t, "1", ada.get("/increment"))
			early := ada.another() // with the cookies of before the login
			require.Equal(t, "ada", ada.get("/login?user=ada"))
			late := ada.another() // and of after it
			session := ada.get("/id")
			require.Equal(t, "bye", ada.get("/logout"))
			if end == "closed" {
				before.end(t)
			} else {
				path = killed(t, path)
			}

			after := startOnFile(t, path, nil, keys)
			for name, br := range map[string]*browser{"ada": ada, "early": early, "late": late} {
				br = br.at(after.app)
				require.Equal(t, "no session", br.dial().ask("increment"), name)
				require.Empty(t, br.get("/user"), name)
				require.Equal(t, "1", br.get("/increment"), name)
				require.NotEqual(t, session, br.get("/id"), name)
			}
			_, err := after.bridge.GetByID(t.Context(), session)
			require.ErrorIs(t, err, bridge.ErrSessionMissing)
			err = after.bridge.SetByID(t.Context(), session, map[string]any{"count": 10}, 0)
			require.ErrorIs(t, err, bridge.ErrSessionMissing)
		})
	}
}

// TestG8_Durable_WhatAClientWasAnsweredOutlivesAnAbruptEnd: increments over both transports, logins, rotations and logouts of many at once;
// then the process is gone, with sockets open and nothing closed. Every answer that a client has got still holds. With SyncEvery, too: what
// it gives away is lost by a machine that stops, not by a process.
func TestG8_Durable_WhatAClientWasAnsweredOutlivesAnAbruptEnd(t *testing.T) {
	for name, opts := range map[string]*filestore.Options{
		"default":     {CheckpointEvery: time.Hour},
		"synced late": {CheckpointEvery: time.Hour, SyncEvery: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			path, keys := filepath.Join(t.TempDir(), "sessions.db"), [][]byte{newKey()}
			before := startOnFile(t, path, opts, keys)
			visits := make([]*visit, 12)
			for i := range visits {
				visits[i] = visitOf(newBrowser(t, before.app), i)
			}
			var all sync.WaitGroup
			for i, v := range visits {
				all.Go(func() { v.goOn(i) })
			}
			all.Wait()
			require.False(t, t.Failed())

			after := startOnFile(t, killed(t, path), opts, keys)
			for i, v := range visits {
				v.browser = v.browser.at(after.app)
				if v.loggedOut {
					require.Empty(t, v.browser.get("/user"), i)
					require.Equal(t, "1", v.browser.get("/increment"), i)
					require.NotEqual(t, v.session, v.browser.get("/id"), i)
					continue
				}
				require.Equal(t, v.session, v.browser.get("/id"), i)
				require.Equal(t, v.user, v.browser.get("/user"), i)
				require.Equal(t, v.count, v.browser.get("/count"), i)
				tab := v.browser.dial()
				require.Equal(t, v.session, tab.ask("id"), i)
				require.Equal(t, v.user, tab.ask("user"), i)
			}
		})
	}
}

// visit is what a browser was told last.
type visit struct {
	browser              *browser
	tab                  *socket
	session, user, count string
	loggedOut            bool
}

func visitOf(br *browser, i int) *visit {
	br.t.Helper()
	br.get("/increment")
	v := &visit{browser: br, session: br.get("/id")}
	if i%2 == 0 {
		v.user = br.get(fmt.Sprintf("/login?user=user-%d", i))
	}
	v.tab = br.dial()
	return v
}

// goOn does this and that, while others do.
func (v *visit) goOn(i int) {
	for range i {
		v.tab.ask("increment")
	}
	if i%3 == 0 {
		v.browser.get("/rotate")
	}
	v.browser.get("/increment")
	v.count = v.tab.ask("increment")
	if v.loggedOut = i%4 == 2; v.loggedOut {
		v.browser.get("/logout")
	}
}
