package bridge_test

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestSmoke(t *testing.T) {
	b, err := bridge.New(livestore.New(), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Shutdown(context.Background())) }()
	off := b.OnSessionSet(func(e bridge.SessionSet) { t.Logf("%+v", e) })
	defer off()
	defer b.OnSessionDestroy(func(e bridge.SessionDestroy) { t.Logf("%+v", e) })()
	defer b.OnConnClose(func(e bridge.ConnClose) { t.Logf("%+v", e) })()
	n := bridge.NewKey[int]("n")
	inc := func(_ context.Context, s *bridge.Session) (int, error) {
		v, _ := n.Get(s)
		n.Set(s, v+1)
		return v + 1, nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/inc", func(w http.ResponseWriter, r *http.Request) {
		v, err := bridge.WithSession(r.Context(), b.For(r), inc, nil)
		if err != nil {
			http.Error(w, err.Error(), bridge.HTTPStatus(err))
			return
		}
		_, _ = io.WriteString(w, strings.Repeat("x", v))
	})
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err == nil {
			err = s.Login("ada")
		}
		if err != nil {
			http.Error(w, err.Error(), bridge.HTTPStatus(err))
		}
	})
	mux.HandleFunc("/logout", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		require.NoError(t, err)
		s.Logout()
	})
	mux.Handle("/ws", b.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		for {
			if _, _, err := c.Read(ctx); err != nil {
				return err
			}
			v, err := bridge.WithSession(ctx, c, inc, nil)
			if err != nil {
				return err
			}
			if err := c.WriteJSON(ctx, v); err != nil {
				return err
			}
		}
	}, nil))
	srv := httptest.NewServer(b.Handler(mux))
	defer srv.Close()
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar}
	get := func(path string) string {
		res, err := client.Get(srv.URL + path)
		require.NoError(t, err)
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		require.Equal(t, 200, res.StatusCode, string(body))
		t.Log(path, res.Header["Set-Cookie"], res.Header["Vary"])
		return string(body)
	}
	require.Equal(t, "x", get("/inc"))
	require.Equal(t, "xx", get("/inc"))
	ctx := t.Context()
	dial := func() *websocket.Conn {
		ws, _, err := websocket.Dial(ctx, srv.URL+"/ws", &websocket.DialOptions{HTTPClient: client})
		require.NoError(t, err)
		return ws
	}
	ws := dial()
	require.NoError(t, ws.Write(ctx, websocket.MessageText, []byte("hi")))
	_, data, err := ws.Read(ctx)
	require.NoError(t, err)
	require.Equal(t, "3", string(data))
	get("/login")
	_, _, err = ws.Read(ctx)
	require.Equal(t, websocket.StatusCode(4001), websocket.CloseStatus(err), "%v", err)
	ws = dial()
	require.NoError(t, ws.Write(ctx, websocket.MessageText, []byte("hi")))
	_, data, err = ws.Read(ctx)
	require.NoError(t, err)
	require.Equal(t, "4", string(data))
	get("/logout")
	_, _, err = ws.Read(ctx)
	require.Equal(t, websocket.StatusCode(4500), websocket.CloseStatus(err), "%v", err)
	require.Equal(t, "x", get("/inc"))
	t.Logf("%+v", b.Stats())
}
