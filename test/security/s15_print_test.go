package security_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// secretWord is in values, user IDs, keys and messages. It is searched for as text and in the forms
// in which %v, %x and %#v print bytes.
const secretWord = "hush-hush"

// requireNothingSecret prints v in every common way, and searches for the secrets.
func requireNothingSecret(t *testing.T, v any, secrets ...string) {
	t.Helper()
	type key struct{}
	type application struct {
		Name string
		Any  any
	}
	var lines bytes.Buffer
	for _, thing := range []any{v, &application{"x", v}, application{"x", v}, []any{v}, map[string]any{"x": v}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%c", "%U", "%T %p"} {
			fmt.Fprintf(&lines, verb+"\n", thing)
		}
		fmt.Fprintln(&lines, thing, fmt.Errorf("wrapped: %v", thing))
		for _, h := range []slog.Handler{slog.NewTextHandler(&lines, nil), slog.NewJSONHandler(&lines, nil)} {
			l := slog.New(h)
			l.Info("said", slog.Any("thing", thing), slog.Group("group", slog.Any("thing", thing)))
			l.With(slog.Any("thing", thing)).Info(fmt.Sprint(thing)) //nolint:sloglint // an application may do that
		}
		func() {
			defer func() { fmt.Fprintf(&lines, "panic: %v\n", recover()) }()
			panic(thing)
		}()
	}
	if reflect.TypeOf(v).Kind() == reflect.Pointer { // fmt calls no methods of unexported fields
		hidden := struct{ v any }{v}
		fmt.Fprintf(&lines, "%v %+v %#v %v\n", hidden, hidden, &hidden, context.WithValue(t.Context(), key{}, v))
	}
	if s, ok := v.(*bridge.Session); ok { // nor with a verb that isn't for them
		hidden := struct{ s *bridge.Session }{s}
		for _, verb := range []string{"%s", "%q", "%d", "%x", "%t", "%w"} {
			fmt.Fprintf(&lines, "x"+verb+"\n", hidden)
			fmt.Fprintf(&lines, "x"+verb+"\n", s)
		}
	}
	data, err := json.Marshal(v)
	if err == nil {
		lines.Write(data)
	}
	for _, secret := range append(secrets, secretWord) {
		decimal := strings.Trim(fmt.Sprintf("%d", []byte(secret)), "[]")
		base64 := strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "=")
		for _, form := range []string{secret, base64[:len(base64)-1], fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), decimal, strings.Trim(fmt.Sprintf("%#v", []byte(secret)), "[]byte{}")} {
			require.NotContains(t, lines.String(), form, "%T shows %q", v, secret)
		}
	}
}

func TestS15_PrintedSessionsTellNothing(t *testing.T) {
	st := livestore.New()
	a := testkit.NewApp(t, st, nil)
	var hash [32]byte
	var ids []string
	check := func(ctx context.Context, s *bridge.Session) {
		t.Helper()
		for rec, err := range st.List(t.Context()) {
			require.NoError(t, err)
			hash = rec.TokenHash
		}
		secrets := append([]string{string(hash[:]), s.ID(), s.ClientID()}, ids...)
		requireNothingSecret(t, s, secrets...)
		requireNothingSecret(t, ctx, secrets...)
		requireNothingSecret(t, a.Bridge, secrets...)
	}
	a.SessionPage("/fill", func(s *bridge.Session) (any, error) {
		s.Set("k", secretWord)
		s.AddFlash(secretWord)
		return "", s.Login(secretWord)
	})
	a.Mux.HandleFunc("/print", func(w http.ResponseWriter, r *http.Request) {
		s, err := a.Session(r)
		require.NoError(t, err)
		s.Set("another", secretWord)
		check(r.Context(), s)
		requireNothingSecret(t, a.For(r), s.ID(), s.ClientID())
		require.NoError(t, a.WithSession(r, func(ctx context.Context, s *bridge.Session) error { check(ctx, s); return nil }, nil))
		snapshot, err := a.GetByID(r.Context(), s.ID())
		require.NoError(t, err)
		check(r.Context(), snapshot)
	})
	h := a.Handler(a.Mux)
	visitor := webclient.Pocket{}
	require.Equal(t, http.StatusOK, visitor.Get(t, h, "/fill").Code)
	for _, cookie := range visitor {
		ids = append(ids, cookie)
	}
	require.Equal(t, http.StatusOK, visitor.Get(t, h, "/print").Code)
	var none *bridge.Session
	require.Equal(t, "<nil>", fmt.Sprint(none))
	require.Equal(t, "bridge.Session()", fmt.Sprint(new(bridge.Session)))
}

// The application's log lines and the Bridge's name a session by the same hash.
func TestS15_PrintedSessionIsNamedAsTheLogNamesIt(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{Logger: logger})
	a.SessionPage("/say", func(s *bridge.Session) (any, error) {
		s.Set("k", 1)
		logger.Info("said", slog.Any("session", s), slog.String("text", fmt.Sprint(s)))
		return "", nil
	})
	webclient.Pocket{}.Get(t, a.Handler(a.Mux), "/say")
	said := linesOf(t, log.Bytes(), "said", nil)
	require.Len(t, said, 1)
	require.Len(t, linesOf(t, log.Bytes(), "session created", line{"session": said[0]["session"]}), 1)
	require.Equal(t, fmt.Sprintf("bridge.Session(%s)", said[0]["session"]), said[0]["text"])
}

func TestS15_PrintedConnectionsTellNothing(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	checked := make(chan struct{})
	a.Mux.Handle("/print", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		defer close(checked)
		c.SetData(secretWord)
		secrets := []string{c.ID(), c.ClientID(), c.SessionID()}
		requireNothingSecret(t, c, secrets...)
		requireNothingSecret(t, ctx, secrets...)
		return c.WithSession(ctx, func(ctx context.Context, s *bridge.Session) error {
			requireNothingSecret(t, s, secrets...)
			requireNothingSecret(t, ctx, secrets...)
			return nil
		}, nil)
	}, nil))
	a.Page("/attach", func(r *http.Request) (any, error) {
		l, err := a.Attach(r, func(int, string) {})
		if err != nil {
			return nil, err
		}
		defer l.Detach()
		l.SetData(secretWord)
		requireNothingSecret(t, l, l.ID(), l.ClientID(), l.SessionID())
		requireNothingSecret(t, l.Context(), l.ID(), l.ClientID(), l.SessionID())
		return "", nil
	})
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/login?user=" + secretWord)
	br.OK("/attach")
	br.Dial("/print")
	await.Receive(t, checked)
}

func TestS15_PrintedMessagesTellNothing(t *testing.T) {
	m := bridge.Message{Type: websocket.MessageText, Data: []byte(secretWord)}
	require.Equal(t, "bridge.Message(MessageText of 9 bytes)", fmt.Sprintf("%+v", m))
	for _, verb := range []string{"%v", "%#v", "%s", "%x", "%d"} {
		require.NotContains(t, fmt.Sprintf(verb, &m), fmt.Sprintf("%x", secretWord))
		require.Equal(t, fmt.Sprint(m), fmt.Sprintf(verb, m))
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("got", slog.Any("message", m))
	require.Contains(t, log.String(), `{"type":"MessageText","bytes":9}`)
	requireNothingSecret(t, m)
	requireNothingSecret(t, &m)
}

func TestS15_PrintedOptionsTellNoKey(t *testing.T) {
	o := bridge.Options{Keys: [][]byte{[]byte(strings.Repeat(secretWord, 4)), []byte(strings.Repeat(secretWord, 5))}, Name: "shop", Logger: slog.New(slog.DiscardHandler)}
	requireNothingSecret(t, o)
	requireNothingSecret(t, &o)
	require.Equal(t, "bridge.Options{Keys:[2 redacted] Name:shop Logger:set}", fmt.Sprintf("%+v", o))
	require.Equal(t, "bridge.Options{}", fmt.Sprint(bridge.Options{}))
}

func TestS15_PrintedStoreTellsNothing(t *testing.T) {
	st := livestore.New()
	rec := store.Record{ID: "0b3f27e4-3d16-4b53-8c3e-0c1a1f8e2f11", UserID: secretWord, Data: []byte(`{"k":"` + secretWord + `"}`), TokenGeneration: 1}
	_, err := st.Set(t.Context(), rec)
	require.NoError(t, err)
	requireNothingSecret(t, st)
}

// encoding/json writes credentials, so these are not passed to requireNothingSecret.
func TestS15_PrintedCredentialsTellNothing(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), nil)
	n := bridge.NewSession{UserID: secretWord, Data: map[string]any{"k": secretWord}, Addr: "192.0.2.1"}
	c, err := b.Create(t.Context(), n)
	require.NoError(t, err)
	type application struct{ Any any }
	var lines bytes.Buffer
	text, js := slog.New(slog.NewTextHandler(&lines, nil)), slog.New(slog.NewJSONHandler(&lines, nil))
	for _, v := range []any{c, &c, n, &n} {
		for _, thing := range []any{v, application{v}, &application{v}, []any{v}, map[string]any{"x": v}} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
				fmt.Fprintf(&lines, verb+"\n", thing)
			}
			text.Info("said", slog.Any("thing", thing))
		}
		js.Info("said", slog.Any("thing", v), slog.Group("group", slog.Any("thing", v)))
	}
	for _, secret := range []string{secretWord, c.Token, c.SessionID, c.ClientID} {
		require.NotContains(t, lines.String(), secret)
		require.NotContains(t, lines.String(), fmt.Sprintf("%x", secret))
		require.NotContains(t, lines.String(), fmt.Sprintf("%X", secret))
	}
	require.Contains(t, lines.String(), "bridge.Credentials{")
	require.Contains(t, lines.String(), "192.0.2.1")
}
