package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
)

// cookies returns the values of the visitor's cookies, by name.
func (v *visitor) cookies(t *testing.T) map[string]string {
	t.Helper()
	u, err := url.Parse(v.url)
	require.NoError(t, err)
	values := map[string]string{}
	for _, c := range v.client.Jar.Cookies(u) {
		values[c.Name] = c.Value
	}
	require.Len(t, values, 2)
	return values
}

// TestS15_NothingSecretComesOutOfTheProcess: visitors use and misuse the demo in a process of its
// own. Neither its standard output nor its standard error, with the audit log, nor an error answer
// or a close reason has a cookie, a token, a value, a user or an ID of a session.
func TestS15_NothingSecretComesOutOfTheProcess(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]func(t *testing.T) string{
		"file":  func(*testing.T) string { return "file:demo.db" },
		"live":  func(*testing.T) string { return "live" },
		"redis": func(t *testing.T) string { return redistest.Start(t).URL() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			where := store(t)
			var out bytes.Buffer // of the process; its goroutines have ended when Wait returns
			p := startProcessWith(t, t.TempDir(), &out, "-audit", "-addr", "127.0.0.1:0", "-store", where)
			secret, said := useAndMisuse(t, p.url)
			require.NoError(t, p.Process.Signal(os.Interrupt))
			require.NoError(t, p.Wait())
			all := out.String() + said
			for _, msg := range []string{"session created", "user logged in", "session ended", "credential refused", "handshake refused"} {
				require.Contains(t, all, `"msg":"`+msg+`"`)
			}
			for value, what := range secret {
				require.NotContains(t, all, value, "%s comes out", what)
			}
		})
	}
}

// useAndMisuse returns the secrets that it has used, by what they are, and the texts that an error
// answer or a close has had.
func useAndMisuse(t *testing.T, base string) (secret map[string]string, said string) {
	t.Helper()
	user, value := "user-"+rand.Text(), "value-"+rand.Text()
	secret = map[string]string{user: "a user", value: "a value"}
	var texts strings.Builder
	learn := func(v *visitor) {
		for _, cookie := range v.cookies(t) {
			secret[cookie] = "a cookie"
			signed, err := base64.URLEncoding.DecodeString(cookie)
			require.NoError(t, err)
			_, content, _ := bytes.Cut(signed, []byte("|"))
			secret[string(content[:16])] = "the content of a cookie"
		}
		secret[v.get(t, "/api/session").SessionID] = "a session's ID"
	}
	ada := newVisitor(t, base)
	ada.post(t, "/api/increment", `{"by":1}`)
	learn(ada)
	ada.post(t, "/api/login", `{"user":"`+user+`"}`)
	learn(ada)
	ws := ada.dial(t)
	require.True(t, *ws.do(t, `{"do":"set","key":"k","value":"`+value+`"}`).OK)
	elsewhere := newVisitor(t, base)
	elsewhere.post(t, "/api/login", `{"user":"`+user+`"}`)
	learn(elsewhere)

	// raw sends a request with header lines of its own, and keeps what an error answer says.
	raw := func(method, path, body string, header http.Header) {
		req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
		require.NoError(t, err)
		req.Header = header
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		if res.StatusCode >= http.StatusBadRequest {
			texts.Write(answer)
		}
	}
	defer http.DefaultClient.CloseIdleConnections()
	for name, cookie := range ada.cookies(t) {
		for _, spoiled := range []string{cookie[1:], cookie + "x", strings.Repeat(cookie, 20), cookie[:30] + "A" + cookie[31:]} {
			secret[spoiled] = "a spoiled cookie"
			h := http.Header{"Cookie": {name + "=" + spoiled}, "Authorization": {"Bearer " + spoiled}}
			raw(http.MethodGet, "/api/session", "", h)
			raw(http.MethodPost, "/api/increment", "{"+value, h)
			raw(http.MethodPost, "/api/signout", `{"device":"`+spoiled+`"}`, h)
			raw(http.MethodPost, "/api/close", `{"socket":"`+spoiled+`"}`, h)
			h = h.Clone()
			h.Set("Connection", "Upgrade")
			h.Set("Upgrade", "websocket")
			h.Set("Sec-WebSocket-Version", "13")
			h.Set("Sec-WebSocket-Key", spoiled)
			h.Set("Sec-WebSocket-Protocol", "sessionbridge, sessionbridge.ticket."+strings.TrimRight(spoiled, "=")[:43])
			raw(http.MethodGet, "/ws", "", h)
		}
	}
	for _, message := range []string{"garbage " + value, `{"do":"` + value + `"}`, `{"do":"set","key":"k"`, `{"do":"increment","by":"` + value + `"}`} {
		bad, _, err := websocket.Dial(t.Context(), base+"/ws", &websocket.DialOptions{HTTPClient: ada.client})
		require.NoError(t, err)
		require.NoError(t, bad.Write(t.Context(), websocket.MessageText, []byte(message)))
		tooLarge := bad.Write(t.Context(), websocket.MessageText, bytes.Repeat([]byte(value), 10_000))
		for err == nil {
			_, _, err = bad.Read(t.Context())
		}
		fmt.Fprint(&texts, err, tooLarge) // the server may close the connection before it has all of the message
	}
	elsewhere.post(t, "/api/signout/others", "{}")
	elsewhere.post(t, "/api/logout", "")
	ada.get(t, "/api/session") // its session has been signed out
	return secret, texts.String()
}
