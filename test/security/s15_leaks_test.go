package security_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// output collects everything that a process says to others than the owner of a session: its logs,
// its standard error, the texts of errors, error answers, and the reasons of closes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) say(format string, args ...any) { _, _ = fmt.Fprintf(o, format+"\n", args...) }

// reply adds an answer that is an error.
func (o *output) reply(rep webclient.Reply) webclient.Reply {
	if rep.Status >= 400 {
		o.say("%d %s", rep.Status, rep.Body)
	}
	return rep
}

// failed adds the text of an error, in the forms in which it is printed.
func (o *output) failed(err error) {
	if err != nil {
		o.say("%v %+v %#v", err, err, err)
	}
}

// closed waits for the end of a socket, and adds its reason.
func (o *output) closed(t *testing.T, s *webclient.Socket) {
	t.Helper()
	for {
		_, _, err := s.Conn.Read(t.Context())
		if err == nil {
			continue
		}
		var closed websocket.CloseError
		if errors.As(err, &closed) {
			o.say("%d %s", closed.Code, closed.Reason)
		}
		return
	}
}

// requireNone checks that the output has none of the secrets, and that there is output.
func (o *output) requireNone(t *testing.T, sec *secrets) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	require.NotEmpty(t, o.text.String())
	for secret, name := range sec.text {
		if at := strings.Index(o.text.String(), secret); at >= 0 {
			from, to := max(0, at-300), min(o.text.Len(), at+300)
			require.Fail(t, "a secret comes out", "%s, %q, in: …%s…", name, secret, o.text.String()[from:to])
		}
	}
}

// captureDefaults adds what goes to the default loggers, where net/http writes its errors.
func (o *output) captureDefaults(t *testing.T) {
	t.Helper()
	before, flags, std := slog.Default(), log.Flags(), log.Writer()
	slog.SetDefault(slog.New(slog.NewTextHandler(o, &slog.HandlerOptions{Level: slog.LevelDebug})))
	log.SetOutput(o)
	t.Cleanup(func() {
		slog.SetDefault(before)
		log.SetOutput(std)
		log.SetFlags(flags)
	})
}

// marker returns a text that occurs nowhere else.
func marker(kind string) string { return kind + "-" + rand.Text() }

// noted is an application all of whose output is collected, and what must not be in it.
type noted struct {
	*testkit.App
	*output
	sec  *secrets
	site *webclient.Site
	user string
}

func newNoted(t *testing.T, inner store.Store) *noted {
	t.Helper()
	n := &noted{
		output: &output{}, sec: &secrets{key: testkit.Key(), text: map[string]string{}}, user: marker("user"),
	}
	n.captureDefaults(t)
	n.sec.text[n.user] = "a user"
	debug := &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}
	perUser := 0
	if _, ok := store.As[store.UserIndex](inner); ok {
		perUser = 3
	}
	n.App = testkit.NewTicketApp(t, inner, &bridge.Options{
		Keys: [][]byte{testkit.Key()}, TokenFrom: bridge.TokenFromHeader("Authorization"),
		Logger: slog.New(slog.NewTextHandler(n, debug)), Audit: slog.New(slog.NewJSONHandler(n, debug)),
		MaxConnsPerSession: 4, MaxSessionsPerUser: perUser, OnTooManySessions: bridge.RefuseLogin,
		MessagesPerSession: bridge.Rate{PerSecond: 1, Burst: 20},
		BeforeCommit: func(_ context.Context, s *bridge.Session) error {
			if _, forbidden := s.Get("forbidden"); forbidden {
				return errors.New("forbidden")
			}
			return nil
		},
	})
	addPagesThatGoWrong(n.App)
	n.sec.text[testkit.Confidential] = "a value"
	n.SessionPage("/forbidden", func(s *bridge.Session) (any, error) {
		s.Set("forbidden", n.value())
		return "", nil
	})
	n.SessionPage("/value", func(s *bridge.Session) (any, error) {
		s.Set("value", n.value())
		return "", nil
	})
	n.SessionPage("/wronguser", func(s *bridge.Session) (any, error) { return "", s.Login(n.user + "\x00") })
	n.Mux.Handle("/says", n.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		_, text, err := c.Read(ctx)
		if err == nil {
			err = fmt.Errorf("a mistake of the application's")
			_ = text
		}
		return err
	}, &bridge.ConnOptions{MaxMessageBytes: 200}))
	failures := testkit.Record[bridge.Failure](t, n.Bridge)
	t.Cleanup(func() {
		for _, f := range failures.Rest() {
			n.say("%s %v", f.Doing, f.Err)
		}
	})
	n.site = n.Serve(t)
	return n
}

// value returns a new value of a session.
func (n *noted) value() string {
	v := marker("value")
	n.sec.text[v] = "a value"
	return v
}

// get requests a page and learns the cookies.
func (n *noted) get(t *testing.T, br *webclient.Browser, path string, header ...string) webclient.Reply {
	t.Helper()
	rep := n.reply(br.Get(path, header...))
	n.sec.learn(t, br)
	return rep
}

// garbage sends requests and messages that no client sends.
func (n *noted) garbage(t *testing.T, br *webclient.Browser) {
	t.Helper()
	for _, path := range []string{"/badvalue", "/toolarge", "/forbidden", "/wronguser", "/sealed", "/late"} {
		rep, err := br.Try(t.Context(), path)
		if err != nil {
			continue // the response was aborted
		}
		n.reply(rep)
	}
	sid := br.Cookie("sid")
	for _, value := range []string{sid[1:], sid + "x", strings.Repeat(sid, 40), "%00" + sid, sid[:20] + "!" + sid[21:]} {
		forger := br.WithoutJar()
		n.reply(forger.Get("/id", "Cookie", "sid="+value+"; sid.cid="+value))
		n.reply(forger.Get("/id", "Authorization", "Bearer "+value))
		_, res, err := forger.TryDial("/ws", http.Header{"Authorization": {"Bearer " + value}})
		n.failed(err)
		if res != nil {
			n.say("%v", res.Header)
		}
		_, err = n.Open(t.Context(), bridge.Credentials{Token: value, SessionID: value, ClientID: value})
		n.failed(err)
		_, err = n.RotateCredentials(t.Context(), bridge.Credentials{Token: value})
		n.failed(err)
		_, _, err = br.DialTicket("/ws", value)
		require.Error(t, err)
		n.reply(br.Get("/redeem", "X-Ticket", value))
		_, err = n.GetByID(t.Context(), value)
		n.failed(err)
		_, err = n.AttachRemote(t.Context(), bridge.Remote{SessionID: value, Name: value + "\x00", Lease: bridge.MinTimeout})
		n.failed(err)
	}
	_, _, err := br.TryDial("/ws", http.Header{"Origin": {"https://evil.example"}})
	require.Error(t, err)
}

// run uses and misuses everything that has a secret.
func (n *noted) run(t *testing.T) {
	br := webclient.NewBrowser(t, n.site)
	for _, path := range []string{"/value", "/rotate", "/login?user=" + n.user, "/value", "/inc"} {
		n.get(t, br, path)
	}
	stale, ws := br.Another(), br.Dial("/tickets")
	n.get(t, br, "/login?user="+n.user) // cuts the socket
	n.closed(t, ws)
	n.get(t, stale, "/get")

	// Tickets.
	ticket := n.get(t, br, "/ticket").Body
	require.Len(t, ticket, 43)
	n.sec.text[ticket] = "a ticket"
	ws, _, err := br.DialTicket("/tickets", ticket)
	require.NoError(t, err)
	br.RequireRefused(ticket)
	for _, user := range []string{n.user, ""} {
		login := ws.LoginTicket(user)
		n.sec.text[login] = "a login ticket"
		n.get(t, br, "/redeem", "X-Ticket", login)
		n.get(t, br, "/redeem", "X-Ticket", login)
		if user != "" { // the login has cut the socket
			n.closed(t, ws)
			ws = br.Dial("/tickets")
		}
	}

	// Tokens.
	c, err := n.Create(t.Context(), bridge.NewSession{UserID: n.user, Data: map[string]any{"k": n.value()}})
	require.NoError(t, err)
	n.sec.text[c.Token] = "a token"
	native := &native{t: t, br: br.WithoutJar(), token: c.Token}
	for _, path := range []string{"/value", "/rotate", "/login?user=" + n.user} {
		native.ok(path)
		n.sec.text[native.token] = "a token"
	}
	rotated, err := n.RotateCredentials(t.Context(), c)
	require.NoError(t, err)
	n.sec.text[rotated.Token] = "a token"
	n.say("%v %+v %#v", rotated, c, []any{rotated})
	again, err := n.LoginCredentials(t.Context(), rotated, n.user)
	require.NoError(t, err)
	n.sec.text[again.Token] = "a token"
	for _, old := range []bridge.Credentials{c, rotated} {
		_, err = n.Open(t.Context(), old)
		require.Error(t, err)
		n.failed(err)
	}
	err = n.WithCredentials(t.Context(), again, func(context.Context, *bridge.Session) error { return errors.New("no") })
	n.failed(err)

	n.garbage(t, br)

	// Sockets.
	broken := br.Dial("/says")
	broken.Say(n.value())
	n.closed(t, broken)
	large := br.Dial("/says")
	large.Say(strings.Repeat(n.value(), 10))
	n.closed(t, large)
	fast := br.Dial("/ws").Listen()
	over := fast.WhenClosed()
	for range 30 {
		_ = fast.TrySay("get")
	}
	require.Equal(t, bridge.CodePolicy, <-over)
	crowd := make([]*webclient.Socket, 6)
	for i := range crowd {
		crowd[i] = br.Dial("/tickets")
	}

	// Limits on sessions, ends.
	for range 3 {
		n.get(t, webclient.NewBrowser(t, n.site), "/login?user="+n.user)
	}
	late := br.Another()
	n.get(t, br, "/logout")
	n.get(t, late, "/get")
	_, _, err = late.TryDial("/ws", nil)
	n.failed(err)
	for _, s := range crowd {
		n.closed(t, s)
	}
	n.get(t, br, "/value")
	_, err = n.DestroyUser(t.Context(), n.user)
	n.failed(err)
	_, err = n.DestroyUser(t.Context(), "")
	n.failed(err)
	n.say("%v %+v %v", n.Bridge, n.Options(), n.Stats())
}

// No output has a secret, whatever clients send and whichever store keeps the sessions.
func TestS15_NothingSecretComesOut(t *testing.T) {
	t.Parallel()
	files, err := filestore.Open(filepath.Join(t.TempDir(), "sessions"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, files.Close()) })
	for name, open := range map[string]func(t *testing.T) store.Store{
		"livestore": func(*testing.T) store.Store { return livestore.New() },
		"filestore": func(*testing.T) store.Store { return files },
		"sealed":    func(t *testing.T) store.Store { return sealInner(t, livestore.New(), 1) },
		"minimal":   func(*testing.T) store.Store { return teststore.Poorer(livestore.New())["list only"] },
		"redisstore": func(t *testing.T) store.Store {
			st, err := redisstore.Open(t.Context(), redistest.Start(t).URL(), nil)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, st.Close()) })
			return st
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNoted(t, open(t))
			n.run(t)
			require.NoError(t, n.Shutdown(t.Context()))
			n.requireNone(t, n.sec)
		})
	}
}

// A store that fails, at each of its operations, adds nothing.
func TestS15_NothingSecretComesOutOfAnOutage(t *testing.T) {
	t.Parallel()
	st := teststore.NewFaulty()
	n := newNoted(t, st)
	br := webclient.NewBrowser(t, n.site)
	n.get(t, br, "/login?user="+n.user)
	n.get(t, br, "/value")
	ws := br.Dial("/ws")
	for _, op := range []string{"Get", "Set", "Destroy", "Touch"} {
		st.Always(teststore.Refuse(teststore.ErrDiskFull), op)
		for _, path := range []string{"/value", "/get", "/login?user=" + n.user, "/rotate", "/ticket", "/logout"} {
			rep, err := br.Try(t.Context(), path)
			if err == nil {
				n.reply(rep)
			}
			other := webclient.NewBrowser(t, n.site)
			if rep, err = other.Try(t.Context(), path); err == nil {
				n.reply(rep)
			}
		}
		_, err := n.Create(t.Context(), bridge.NewSession{UserID: n.user, Data: map[string]any{"k": n.value()}})
		n.failed(err)
		_, err = n.DestroyUser(t.Context(), n.user)
		n.failed(err)
		_ = ws.TrySay("inc")
		st.Heal()
		n.get(t, br, "/login?user="+n.user)
		n.get(t, br, "/value")
		ws = br.Dial("/ws")
	}
	require.NoError(t, n.Shutdown(t.Context()))
	n.requireNone(t, n.sec)
}
