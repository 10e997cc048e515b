package security_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// secrets are the texts that must not be in a log, by name.
type secrets struct {
	key  []byte
	text map[string]string
}

// learn adds the content of a browser's cookies, and returns the session's ID.
func (sec *secrets) learn(t *testing.T, br *webclient.Browser) (id string) {
	t.Helper()
	if sid := br.Cookie("sid"); sid != "" {
		var token [16]byte
		id, token = sessionCookie(t, sec.key, sid)
		sec.text[id] = "a session's ID"
		sec.text[sid] = "a session cookie"
		sec.text[hex.EncodeToString(token[:])] = "a token"
		sec.text[strings.TrimRight(base64.StdEncoding.EncodeToString(token[:]), "=")] = "a token in base64"
		sec.text[strings.TrimRight(base64.URLEncoding.EncodeToString(token[:]), "=")] = "a token in base64url"
		sec.text[string(token[:])] = "a token's bytes"
		sec.text[fmt.Sprint(token)] = "a token as numbers"
	}
	if cid := br.Cookie("sid.cid"); cid != "" {
		var client []byte
		require.NoError(t, securecookie.New(sec.key, nil).SetSerializer(securecookie.NopEncoder{}).Decode("sid.cid", cid, &client))
		sec.text[cid] = "a client cookie"
		sec.text[string(client)] = "a client's ID"
	}
	return id
}

// The life of sessions can be followed in the log, under hashes of their IDs, and the log contains
// no credential.
func TestS15_LogTellsTheLifeOfSessionsAndNoSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sec := &secrets{key: testkit.Key(), text: map[string]string{testkit.Confidential: "a value"}}
		var buf bytes.Buffer
		log := slog.New(slog.NewJSONHandler(&buf, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}))
		st := teststore.NewFaulty()
		opts := testkit.Expiring(0)
		opts.Keys, opts.Logger, opts.EagerClient = [][]byte{sec.key}, log, true
		a := testkit.NewApp(t, st, opts)
		addPagesThatGoWrong(a)
		failures := testkit.Record[bridge.Failure](t, a.Bridge)
		site := a.ServeInMemory(t)

		// A visitor logs in.
		br := webclient.NewBrowser(t, site)
		br.OK("/plain")
		br.OK("/secret")
		sec.learn(t, br)
		stale := br.Another()
		br.OK("/rotate")
		sec.learn(t, br)
		br.OK("/login?user=ada")
		sec.learn(t, br)
		ws := br.Dial("/ws").Listen()
		ws.Ask("inc")
		require.Equal(t, bridge.CodeFailed, br.Dial("/panics").ClosedEventually())

		// Other clients present invalid or stolen credentials.
		time.Sleep(time.Minute)
		stale.OK("/id")
		sec.learn(t, stale)
		forger := br.Another()
		forger.SetCookie("sid", "x"+br.Cookie("sid"))
		forger.OK("/id")
		sec.text["x"+br.Cookie("sid")] = "a cookie that was refused"
		thief := br.Another()
		thief.SetCookie("sid.cid", "")
		thief.OK("/id")
		sec.learn(t, thief)
		_, _, err := br.TryDial("/ws", http.Header{"Origin": {"https://evil.example"}})
		require.Error(t, err)

		// The store fails, and so does the application.
		for _, path := range []string{"/badvalue", "/toolarge", "/sealed"} {
			_, _ = br.Try(t.Context(), path)
		}
		for _, c := range [][]string{{"Set", "/secret", "/late"}, {"Get", "/get"}, {"Destroy", "/logout", "/destroypanic"}, {"Touch", "/get"}} {
			time.Sleep(2 * testkit.Touch)
			st.Always(teststore.Refuse(teststore.ErrDiskFull), c[0])
			for _, path := range c[1:] {
				_, _ = br.Try(t.Context(), path)
			}
			ws.Say("inc")
			ws.Hear()
			st.Heal()
		}
		st.Always(teststore.Refuse(teststore.ErrDiskFull), "Sweep")
		_, err = a.Cleanup(t.Context())
		require.Error(t, err)
		st.Heal()

		// Sessions end.
		code := ws.WhenClosed()
		br.OK("/logout")
		require.Equal(t, bridge.CodeDestroyed, <-code)
		idler := webclient.NewBrowser(t, site)
		idler.OK("/secret")
		sec.learn(t, idler)
		require.Equal(t, bridge.CodeExpired, idler.Dial("/ws").ClosedEventually())
		idler.OK("/secret")
		destroyed := sec.learn(t, idler)
		_, err = a.DestroyByID(t.Context(), destroyed)
		require.NoError(t, err)
		idler.OK("/inc")
		broken := sec.learn(t, idler)
		rec := teststore.Stored(t, st, broken)
		rec.Data = []byte(`{"k":"` + testkit.Confidential)
		_, err = st.Set(t.Context(), rec)
		require.NoError(t, err)
		require.Equal(t, http.StatusServiceUnavailable, idler.Get("/get").Status)
		synctest.Wait()
		var told strings.Builder
		for _, f := range failures.Rest() {
			fmt.Fprintln(&told, f.Doing, f.Err)
		}
		require.NotEmpty(t, told.String())
		require.NoError(t, a.Shutdown(t.Context()))
		synctest.Wait()

		for secret, name := range sec.text {
			require.False(t, bytes.Contains(buf.Bytes(), []byte(secret)), "%s, %q, is in the log:\n%s", name, secret, buf.String())
			require.NotContains(t, told.String(), secret, "%s is in a Failure", name)
		}
		requireLife(t, buf.Bytes())
	})
}

// addPagesThatGoWrong adds pages of an application with a secret in its sessions.
func addPagesThatGoWrong(a *testkit.App) {
	a.SessionPage("/secret", func(s *bridge.Session) (any, error) {
		s.Set("k", testkit.Confidential+time.Now().String())
		return "", nil
	})
	a.SessionPage("/badvalue", func(s *bridge.Session) (any, error) {
		s.Set("k", map[string]any{testkit.Confidential: func() {}})
		return "", nil
	})
	a.SessionPage("/toolarge", func(s *bridge.Session) (any, error) {
		s.Set("k", strings.Repeat(testkit.Confidential, 10_000))
		return "", nil
	})
	a.Mux.HandleFunc("/late", func(w http.ResponseWriter, r *http.Request) {
		s, err := a.Session(r)
		if err == nil {
			_, _ = io.WriteString(w, "early")
			s.Set("k", testkit.Confidential+" late")
		}
	})
	a.SessionPage("/destroypanic", func(s *bridge.Session) (any, error) { s.Destroy(); panic(http.ErrAbortHandler) })
	a.SessionPage("/sealed", func(s *bridge.Session) (any, error) {
		kept, err := a.GetByID(context.Background(), s.ID())
		if err == nil {
			kept.Set("k", testkit.Confidential)
		}
		return "", err
	})
	a.Mux.Handle("/panics", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error { return c.WithSession(ctx, testkit.Panicking, nil) }, nil))
}

// line is one line of a log in JSON.
type line map[string]any

// linesOfAny returns all lines.
func linesOfAny(t *testing.T, log []byte) (all []line) {
	t.Helper()
	for text := range bytes.Lines(log) {
		var l line
		require.NoError(t, json.Unmarshal(text, &l))
		all = append(all, l)
	}
	return all
}

// linesOf returns the lines with the message that have all the attributes.
func linesOf(t *testing.T, log []byte, msg string, attrs line) (found []line) {
	t.Helper()
	for _, l := range linesOfAny(t, log) {
		ok := l["msg"] == msg
		for name, value := range attrs {
			ok = ok && l[name] == value
		}
		if ok {
			found = append(found, l)
		}
	}
	return found
}

// requireLife checks that the log has the events of the sessions.
func requireLife(t *testing.T, log []byte) {
	t.Helper()
	first := linesOf(t, log, "session created", nil)[0]["session"]
	require.Regexp(t, "^[0-9a-f]{16}$", first)
	for _, l := range []struct {
		msg   string
		attrs line
	}{
		{"token rotated", line{"session": first, "via": "http"}},
		{"user logged in", line{"session": first, "via": "http"}},
		{"credential refused", line{"session": first, "credential": "cookie", "reason": "token"}},
		{"credential refused", line{"credential": "cookie", "reason": "signature"}},
		{"client mismatch", line{"session": first, "refused": false}},
		{"handshake from another origin refused", nil},
		{"handshake refused", line{"status": 403.0}},
		{"session ended", line{"session": first, "reason": "logout", "via": "http"}},
		{"session ended", line{"reason": "expired", "via": "time"}},
		{"session ended", line{"reason": "destroyed", "via": "api"}},
	} {
		found := linesOf(t, log, l.msg, l.attrs)
		require.NotEmpty(t, found, "%s %v in:\n%s", l.msg, l.attrs, log)
		require.Contains(t, []any{"DEBUG", "WARN"}, found[0]["level"], "the life of sessions fills no log by default")
	}
	require.NotEqual(t, first, linesOf(t, log, "session ended", line{"reason": "expired"})[0]["session"])
}
