package security_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// native is a program without cookies: it keeps a token, and sends it in a header.
type native struct {
	t     testing.TB
	br    *webclient.Browser // without a jar
	token string
}

func newNative(t testing.TB, s *webclient.Site) *native {
	t.Helper()
	br := webclient.NewBrowser(t, s)
	br.Client.Jar = nil
	return &native{t: t, br: br}
}

func bearer(token string) string { return strings.TrimSpace("Bearer " + token) }

// keep handles the response's token as a client has to. The response must have no cookie.
func (n *native) keep(h http.Header) {
	n.t.Helper()
	require.Empty(n.t, h["Set-Cookie"], "a client without cookies gets none")
	if kept, ok := h[bridge.SessionTokenHeader]; ok {
		require.Len(n.t, kept, 1)
		n.token = kept[0]
	}
}

func (n *native) get(path string) webclient.Reply {
	n.t.Helper()
	rep := n.br.Get(path, "Authorization", bearer(n.token))
	n.keep(rep.Header)
	return rep
}

func (n *native) ok(path string) string {
	n.t.Helper()
	rep := n.get(path)
	require.Equal(n.t, http.StatusOK, rep.Status, "GET %s: %s", path, rep.Body)
	return rep.Body
}

func (n *native) dial(path string) *webclient.Socket {
	n.t.Helper()
	ws, res, err := n.br.TryDial(path, http.Header{"Authorization": {bearer(n.token)}})
	require.NoError(n.t, err)
	n.keep(res.Header)
	return ws
}
