package main

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/pgtest"
	"github.com/sessionbridge/sessionbridge/internal/redistest"
)

// TestTwoProcessesAreOneApplication: a visitor's changes at one process are shown on a page of the
// other, and signing out there ends the session.
func TestTwoProcessesAreOneApplication(t *testing.T) {
	t.Run("Redis", func(t *testing.T) { twoProcesses(t, redistest.Start(t).URL()) })
	t.Run("PostgreSQL", func(t *testing.T) { twoProcesses(t, pgtest.Start(t).URL()) })
}

func twoProcesses(t *testing.T, store string) {
	t.Chdir(t.TempDir())
	here, stopHere := start(t, "-addr", "127.0.0.1:0", "-store", store)
	there, stopThere := start(t, "-addr", "127.0.0.1:0", "-store", store)
	v := newVisitor(t, here)
	v.post(t, "/api/login", `{"user":"ada"}`)
	atThere := &visitor{there, v.client} // the same browser
	tab := atThere.dial(t)
	require.Equal(t, "ada", tab.do(t, `{"do":"get"}`).User)

	v.post(t, "/api/increment", `{"by":2}`)
	set := tab.until(t, totals(2))
	require.Equal(t, counts(2, 0, 2), set.counts())
	require.Equal(t, string(bridge.ViaHTTP), set.Via, "reported once, by the process that has stored it")
	require.Equal(t, counts(2, 3, 5), tab.do(t, `{"do":"increment","by":3}`).counts())
	require.Equal(t, counts(2, 3, 5), v.get(t, "/api/session").counts())

	phone := newVisitor(t, here)
	phone.post(t, "/api/login", `{"user":"ada"}`)
	require.Len(t, atThere.get(t, "/api/devices").Devices, 2)
	phone.post(t, "/api/signout/others", "")
	require.Equal(t, "You were signed out on another device.", tab.until(t, func(r reply) bool { return r.Event == "over" }).Text)
	require.Equal(t, bridge.CodeDestroyed, tab.closed(t))
	require.Empty(t, v.get(t, "/api/session").User)
	require.NoError(t, stopThere())
	require.NoError(t, stopHere())
}

// TestRedisThatIsNotThere: the program reports the error without the password, and ends.
func TestRedisThatIsNotThere(t *testing.T) {
	t.Parallel()
	u := url.URL{Scheme: "redis", User: url.UserPassword("ada", "secret"), Host: "127.0.0.1:1"}
	cmd := command(t, "-addr", "127.0.0.1:0", "-store", u.String())
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.True(t, strings.HasPrefix(string(out), "demo: can't keep sessions in Redis: "), "%s", out)
	require.NotContains(t, string(out), "secret")
	require.Contains(t, string(out), "gave up after 10s")
}
