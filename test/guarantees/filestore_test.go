package guarantees_test

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
	"github.com/sessionbridge/sessionbridge/internal/testkit/endtoend"
)

// onFile is the whole application over a file.
type onFile struct {
	*endtoend.App
	store *filestore.Store
}

func startOnFile(t *testing.T, path string, opts *filestore.Options, keys [][]byte) *onFile {
	t.Helper()
	st, err := filestore.Open(path, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) }) // after the application's end
	return &onFile{endtoend.Start(t, st, &bridge.Options{Keys: keys}), st}
}

// end stops it as a program that is asked to stop.
func (f *onFile) end(t *testing.T) {
	t.Helper()
	f.Stop()
	require.NoError(t, f.store.Close())
}

// killed returns a copy of the store's files as they are now: the state after a kill.
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

// TestRestartOnFile: session, values, user and cookies outlive the process, over HTTP and over a
// socket; and the program finds the session before its browser is back.
func TestRestartOnFile(t *testing.T) {
	path, keys := filepath.Join(t.TempDir(), "sessions.db"), [][]byte{endtoend.NewKey()}
	before := startOnFile(t, path, nil, keys)
	ada, bob := endtoend.NewBrowser(t, before.App), endtoend.NewBrowser(t, before.App)
	require.Equal(t, "1", bob.Get("/increment"))
	require.Equal(t, "1", ada.Get("/increment"))
	require.Equal(t, "ada", ada.Get("/login?user=ada"))
	open := ada.Dial()
	require.Equal(t, "2", open.Ask("increment"))
	session, client := ada.Get("/id"), ada.Get("/client")
	hung := make(chan int)
	go func() { hung <- open.Closed() }()
	before.end(t)
	require.Equal(t, bridge.CodeShutdown, <-hung)

	after := startOnFile(t, path, nil, keys)
	byClient, err := after.Bridge.GetByClientID(t.Context(), client)
	require.NoError(t, err)
	require.Equal(t, session, byClient.ID())
	require.Equal(t, "ada", byClient.UserID())
	ada, bob = ada.At(after.App), bob.At(after.App)
	back := ada.Dial()
	require.Equal(t, session, back.Ask("id"))
	require.Equal(t, "ada", back.Ask("user"))
	require.Equal(t, "3", back.Ask("increment"))
	require.Equal(t, session, ada.Get("/id"))
	require.Equal(t, client, ada.Get("/client"))
	require.Equal(t, "ada", ada.Get("/user"))
	require.Equal(t, "4", ada.Get("/increment"))
	require.Equal(t, "2", bob.Get("/increment"))
	require.Empty(t, bob.Get("/user"))

	require.Equal(t, "bye", ada.Get("/logout"))
	require.Equal(t, bridge.CodeDestroyed, back.Closed(), "a logout reaches the sockets as before")
}

// TestG2_NoResurrectionAcrossRestarts: after a logout no older cookie opens the session, over HTTP
// or a socket, after an orderly end or a kill; nor can a caller with the session's ID bring it
// back.
func TestG2_NoResurrectionAcrossRestarts(t *testing.T) {
	for _, end := range []string{"closed", "killed"} {
		t.Run(end, func(t *testing.T) {
			path, keys := filepath.Join(t.TempDir(), "sessions.db"), [][]byte{endtoend.NewKey()}
			before := startOnFile(t, path, nil, keys)
			ada := endtoend.NewBrowser(t, before.App)
			require.Equal(t, "1", ada.Get("/increment"))
			early := ada.Another() // with the cookies of before the login
			require.Equal(t, "ada", ada.Get("/login?user=ada"))
			late := ada.Another() // and of after it
			session := ada.Get("/id")
			require.Equal(t, "bye", ada.Get("/logout"))
			if end == "closed" {
				before.end(t)
			} else {
				path = killed(t, path)
			}

			after := startOnFile(t, path, nil, keys)
			for name, br := range map[string]*endtoend.Browser{"ada": ada, "early": early, "late": late} {
				br = br.At(after.App)
				require.Equal(t, "no session", br.Dial().Ask("increment"), name)
				require.Empty(t, br.Get("/user"), name)
				require.Equal(t, "1", br.Get("/increment"), name)
				require.NotEqual(t, session, br.Get("/id"), name)
			}
			_, err := after.Bridge.GetByID(t.Context(), session)
			require.ErrorIs(t, err, bridge.ErrSessionMissing)
			err = after.Bridge.SetByID(t.Context(), session, map[string]any{"count": 10}, 0)
			require.ErrorIs(t, err, bridge.ErrSessionMissing)
		})
	}
}

// TestG8_Durable_WhatAClientWasAnsweredOutlivesAnAbruptEnd: many clients increment over both
// transports, log in, rotate and log out; then the process ends with open sockets, and nothing is
// closed. Every answer that a client has received still holds. That includes SyncEvery: it only
// loses changes if the machine stops, not the process.
func TestG8_Durable_WhatAClientWasAnsweredOutlivesAnAbruptEnd(t *testing.T) {
	for name, opts := range map[string]*filestore.Options{
		"default":     {CheckpointEvery: time.Hour},
		"synced late": {CheckpointEvery: time.Hour, SyncEvery: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			path, keys := filepath.Join(t.TempDir(), "sessions.db"), [][]byte{endtoend.NewKey()}
			before := startOnFile(t, path, opts, keys)
			visits := make([]*visit, 12)
			for i := range visits {
				visits[i] = visitOf(endtoend.NewBrowser(t, before.App), i)
			}
			var all sync.WaitGroup
			for i, v := range visits {
				all.Go(func() { v.goOn(i) })
			}
			all.Wait()
			require.False(t, t.Failed())

			after := startOnFile(t, killed(t, path), opts, keys)
			for i, v := range visits {
				v.browser = v.browser.At(after.App)
				if v.loggedOut {
					require.Empty(t, v.browser.Get("/user"), i)
					require.Equal(t, "1", v.browser.Get("/increment"), i)
					require.NotEqual(t, v.session, v.browser.Get("/id"), i)
					continue
				}
				require.Equal(t, v.session, v.browser.Get("/id"), i)
				require.Equal(t, v.user, v.browser.Get("/user"), i)
				require.Equal(t, v.count, v.browser.Get("/count"), i)
				tab := v.browser.Dial()
				require.Equal(t, v.session, tab.Ask("id"), i)
				require.Equal(t, v.user, tab.Ask("user"), i)
			}
		})
	}
}

// visit has the last answers that a browser has received.
type visit struct {
	browser              *endtoend.Browser
	tab                  *endtoend.Socket
	session, user, count string
	loggedOut            bool
}

func visitOf(br *endtoend.Browser, i int) *visit {
	br.T.Helper()
	br.Get("/increment")
	v := &visit{browser: br, session: br.Get("/id")}
	if i%2 == 0 {
		v.user = br.Get(fmt.Sprintf("/login?user=user-%d", i))
	}
	v.tab = br.Dial()
	return v
}

// goOn increments i times and makes other requests, over both transports.
func (v *visit) goOn(i int) {
	for range i {
		v.tab.Ask("increment")
	}
	if i%3 == 0 {
		v.browser.Get("/rotate")
	}
	v.browser.Get("/increment")
	v.count = v.tab.Ask("increment")
	if v.loggedOut = i%4 == 2; v.loggedOut {
		v.browser.Get("/logout")
	}
}
