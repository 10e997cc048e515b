package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/store"
)

const noSession = "00000000-0000-4000-8000-000000000000"

func TestCommandsCallTheAPI(t *testing.T) {
	p := serving(t)
	p.use()
	ada, bob, eve := p.create("ada"), p.create("bob"), p.create("eve")

	require.Equal(t, result{0, `{"ok":true}` + "\n", ""}, sessiond(t, "ping"))
	require.Contains(t, sessiond(t, "ping", "-o", "table").out, "the store answers (")
	require.Contains(t, sessiond(t, "activity").out, `"sessions":3`)
	require.Equal(t, "3 users, 3 sessions, 0 connections\n", sessiond(t, "activity", "-o=table", "--within=1h").out)
	require.Equal(t, 3, strings.Count(sessiond(t, "list").out, "\n"))
	require.Equal(t, 2, strings.Count(sessiond(t, "list", "--limit", "2").out, "\n"))
	table := sessiond(t, "list", "--user", "bob", "--active-within", "1h", "--output", "table").out
	require.Regexp(t, `^ID +USER +ACTIVE +EXPIRES +CONNS +ADDR\n`+bob+` +bob +\d+s ago +in 2\dh\S+ +0 +-\n$`, table)

	var s struct{ Data map[string]int }
	require.NoError(t, json.Unmarshal([]byte(sessiond(t, "show", bob).out), &s))
	require.Equal(t, map[string]int{"n": 1}, s.Data)
	require.Contains(t, sessiond(t, "show", "-o", "table", bob).out, "\n  \"user\": \"bob\"")
	got := sessiond(t, "show", noSession, bob)
	require.Equal(t, exitNotFound, got.code)
	require.Contains(t, got.out, bob, "the others are shown")
	require.Contains(t, got.errors, noSession)

	require.Equal(t, result{0, `{"ended":"` + ada + `"}` + "\n", ""}, sessiond(t, "destroy", ada))
	require.Equal(t, exitNotFound, sessiond(t, "destroy", ada).code)
	require.Equal(t, result{0, `{"ended":0}` + "\n", ""}, sessiond(t, "destroy-user", "bob", "--except", bob))
	require.Equal(t, result{0, "1 sessions ended\n", ""}, sessiond(t, "destroy-user", "-o", "table", "bob"))
	require.Contains(t, sessiond(t, "list").out, eve)
	require.Equal(t, result{0, "", ""}, sessiond(t, "conns", "--user", "eve"))
	require.Equal(t, exitNotFound, sessiond(t, "list", "--app", "other").code)
	for _, line := range []string{"list --active-within -1h", "list --limit -1", "activity --within 0", "watch --type x"} {
		got = sessiond(t, strings.Fields(line)...)
		require.Equal(t, exitUsage, got.code, line)
		require.Empty(t, got.out)
	}

	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte(p.key+"\n"), 0o600))
	t.Setenv(keyVariable, "wrong")
	require.Zero(t, sessiond(t, "ping", "--key-file", file).code)
	got = sessiond(t, "list")
	require.Equal(t, exitUnauthorized, got.code)
	require.NotContains(t, got.errors, "wrong")
	p.stop()
	require.Equal(t, exitUnavailable, sessiond(t, "ping", "--key-file", file).code)
}

// A server that isn't a sessiond must not look like one: nothing has ended there.
func TestOtherServers(t *testing.T) {
	for name, answer := range map[string]string{"a page": "<p>hello", "other JSON": `{"status":"fine"}`, "nothing": ""} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if strings.HasPrefix(answer, "{") {
					w.Header().Set("Content-Type", "application/json")
				}
				_, _ = io.WriteString(w, answer)
			}))
			defer srv.Close()
			t.Setenv("SESSIOND_URL", srv.URL)
			for _, line := range []string{"ping", "destroy " + noSession, "destroy-user ada", "list", "show " + noSession, "conns", "activity", "watch"} {
				got := sessiond(t, strings.Fields(line)...)
				require.Equal(t, exitError, got.code, line)
				require.Empty(t, got.out, line)
				require.Contains(t, got.errors, "not that of a sessiond", line)
			}
		})
	}
}

// What a server answers can't control the terminal.
func TestErrorsArePrintable(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"detail":"\u001b[2Jgone"}`)
	}))
	defer srv.Close()
	t.Setenv("SESSIOND_URL", srv.URL)
	got := sessiond(t, "ping")
	require.Equal(t, exitError, got.code)
	require.Contains(t, got.errors, "[2Jgone")
	require.NotContains(t, got.errors, "\x1b")
}

// watch prints an event for each change, until it is interrupted.
func TestWatch(t *testing.T) {
	p := serving(t)
	p.use()
	ctx, interrupt := context.WithCancel(t.Context())
	out, stderr := &syncBuffer{}, &bytes.Buffer{}
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"watch", "-o", "table", "--type", "session.set,session.destroy"}, out, stderr)
	}()
	for !strings.Contains(out.String(), "session.set") { // it connects meanwhile
		p.create("ada")
	}
	status, _ := p.call(http.MethodPost, "/v1/main/sessions/destroy-user", `{"user":"ada"}`)
	require.Equal(t, http.StatusOK, status)
	require.Eventually(t, func() bool { return strings.Contains(out.String(), " session.destroy ") }, await.Limit, 10*time.Millisecond)
	interrupt()
	require.Zero(t, await.Receive(t, code), stderr)
	require.Regexp(t, `(?m)^\d\d:\d\d:\d\d session\.destroy .*user="ada"`, out.String())
	require.Equal(t, exitUnauthorized, func() int {
		t.Setenv(keyVariable, "wrong")
		return sessiond(t, "watch").code
	}())
	p.stop()
}

func TestCopy(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from.db"), filepath.Join(dir, "to.db")
	st, err := filestore.Open(from, nil)
	require.NoError(t, err)
	b, err := bridge.New(st, nil)
	require.NoError(t, err)
	for range 3 {
		_, err = b.Create(t.Context(), bridge.NewSession{UserID: "ada"})
		require.NoError(t, err)
	}
	require.NoError(t, b.Shutdown(t.Context()))
	require.NoError(t, st.Close())

	require.Equal(t, result{0, `{"changed":3}` + "\n", ""}, sessiond(t, "copy", "file:"+from, "file:"+to))
	require.Equal(t, result{0, `{"changed":0}` + "\n", ""},
		sessiond(t, "copy", "--mirror", "--switched", "2020-01-02T03:04:05Z", "file:"+from, "file:"+to))
	target, err := filestore.Open(to, nil)
	require.NoError(t, err)
	defer target.Close()
	n := 0
	for rec, err := range store.Lister(target).List(t.Context()) {
		require.NoError(t, err)
		require.Equal(t, "ada", rec.UserID)
		n++
	}
	require.Equal(t, 3, n)
	got := sessiond(t, "copy", "--switched", "2999-01-02T03:04:05Z", "file:"+from, "file:"+filepath.Join(dir, "new.db"))
	require.Equal(t, exitError, got.code)
	require.Contains(t, got.errors, "in the future")
}
