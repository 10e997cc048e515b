package bridge_test

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
)

// secrets are what must not be in a log, under a name for each.
type secrets struct {
	key  []byte
	text map[string]string
}

// learn adds what is in a browser's cookies, and returns the session's ID.
func (sec *secrets) learn(t *testing.T, br *browser) (id string) {
	t.Helper()
	if sid := br.cookie("sid"); sid != "" {
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
	if cid := br.cookie("sid.cid"); cid != "" {
		var client []byte
		require.NoError(t, securecookie.New(sec.key, nil).SetSerializer(securecookie.NopEncoder{}).Decode("sid.cid", cid, &client))
		sec.text[cid] = "a client cookie"
		sec.text[string(client)] = "a client's ID"
	}
	return id
}

const confidential = "correct horse battery staple" // a value in a session

// The life of sessions can be followed in the log, under hashes of their IDs, and nothing in it opens anything.
func TestS15_LogTellsTheLifeOfSessionsAndNoSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sec := &secrets{key: goodKey(), text: map[string]string{confidential: "a value"}}
		var buf bytes.Buffer
		log := slog.New(slog.NewJSONHandler(&buf, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}))
		st := newFaultyStore()
		opts := expiring(0)
		opts.Keys, opts.Logger, opts.EagerClient = [][]byte{sec.key}, log, true
		a := makeApp(t, st, opts)
		addPagesThatGoWrong(a)
		failures := record[bridge.Failure](t, a.Bridge)
		site := a.serveInMemory(t)

		// A visitor logs in.
		br := newBrowser(t, site)
		br.ok("/plain")
		br.ok("/secret")
		sec.learn(t, br)
		stale := br.another()
		br.ok("/rotate")
		sec.learn(t, br)
		br.ok("/login?user=ada")
		sec.learn(t, br)
		ws := br.dial("/ws").listen()
		ws.ask("inc")
		require.Equal(t, bridge.CodeFailed, br.dial("/panics").closedEventually())

		// Others come with what they shouldn't have.
		time.Sleep(time.Minute)
		stale.ok("/id")
		sec.learn(t, stale)
		forger := br.another()
		forger.setCookie("sid", "x"+br.cookie("sid"))
		forger.ok("/id")
		sec.text["x"+br.cookie("sid")] = "a cookie that was refused"
		thief := br.another()
		thief.setCookie("sid.cid", "")
		thief.ok("/id")
		sec.learn(t, thief)
		_, _, err := br.tryDial("/ws", http.Header{"Origin": {"https://evil.example"}})
		require.Error(t, err)

		// The store fails, and so does the application.
		for _, path := range []string{"/badvalue", "/toolarge", "/sealed"} {
			_, _ = br.try(t.Context(), path)
		}
		for _, c := range [][]string{{"Set", "/secret", "/late"}, {"Get", "/get"}, {"Destroy", "/logout", "/destroypanic"}, {"Touch", "/get"}} {
			time.Sleep(2 * touch)
			st.always(refuse(errStore), c[0])
			for _, path := range c[1:] {
				_, _ = br.try(t.Context(), path)
			}
			ws.say("inc")
			ws.hear()
			st.heal()
		}
		st.always(refuse(errStore), "Sweep")
		_, err = a.Cleanup(t.Context())
		require.Error(t, err)
		st.heal()

		// Sessions end.
		code := ws.whenClosed()
		br.ok("/logout")
		require.Equal(t, bridge.CodeDestroyed, <-code)
		idler := newBrowser(t, site)
		idler.ok("/secret")
		sec.learn(t, idler)
		require.Equal(t, bridge.CodeExpired, idler.dial("/ws").closedEventually())
		idler.ok("/secret")
		destroyed := sec.learn(t, idler)
		_, err = a.DestroyByID(t.Context(), destroyed)
		require.NoError(t, err)
		idler.ok("/inc")
		broken := sec.learn(t, idler)
		rec := stored(t, st, broken)
		rec.Data = []byte(`{"k":"` + confidential)
		_, err = st.Set(t.Context(), rec)
		require.NoError(t, err)
		require.Equal(t, http.StatusServiceUnavailable, idler.get("/get").status)
		synctest.Wait()
		var told strings.Builder
		for _, f := range failures.rest() {
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
func addPagesThatGoWrong(a *app) {
	a.session("/secret", func(s *bridge.Session) (any, error) { s.Set("k", confidential+time.Now().String()); return "", nil })
	a.session("/badvalue", func(s *bridge.Session) (any, error) {
		s.Set("k", map[string]any{confidential: func() {}})
		return "", nil
	})
	a.session("/toolarge", func(s *bridge.Session) (any, error) { s.Set("k", strings.Repeat(confidential, 10_000)); return "", nil })
	a.mux.HandleFunc("/late", func(w http.ResponseWriter, r *http.Request) {
		s, err := a.Session(r)
		if err == nil {
			_, _ = io.WriteString(w, "early")
			s.Set("k", confidential+" late")
		}
	})
	a.session("/destroypanic", func(s *bridge.Session) (any, error) { s.Destroy(); panic(http.ErrAbortHandler) })
	a.session("/sealed", func(s *bridge.Session) (any, error) {
		kept, err := a.GetByID(context.Background(), s.ID())
		if err == nil {
			kept.Set("k", confidential)
		}
		return "", err
	})
	a.mux.Handle("/panics", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error { return c.WithSession(ctx, panicking, nil) }, nil))
}

// line is one line of a log in JSON.
type line map[string]any

// linesOf returns the lines with the message that have all the attributes.
func linesOf(t *testing.T, log []byte, msg string, attrs line) (found []line) {
	t.Helper()
	for text := range bytes.Lines(log) {
		var l line
		require.NoError(t, json.Unmarshal(text, &l))
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

// requireLife checks that the log tells what has happened to the sessions.
func requireLife(t *testing.T, log []byte) {
	t.Helper()
	first := linesOf(t, log, "session created", nil)[0]["session"]
	require.Regexp(t, "^[0-9a-f]{16}$", first)
	for _, l := range []struct {
		msg   string
		attrs line
	}{
		{"session's token rotated", line{"session": first, "login": false, "via": "http"}},
		{"user logged in: the session has a new token", line{"session": first, "login": true, "via": "http"}},
		{"session cookie opens nothing: unknown session or stale token", line{"session": first}},
		{"session cookie refused: its signature doesn't hold", nil},
		{"session came with another client's cookie, or none", line{"session": first, "refused": false}},
		{"handshake from another origin refused", nil},
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
