package oidc_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/oidc"
)

// A logout at the provider is in the audit log, with the sessions that it has ended, and no token,
// subject, user or ID is.
func TestS15_LogoutAtTheProviderIsAudited(t *testing.T) {
	var own, bridges bytes.Buffer
	p := newIDP(t)
	a := newApp(t, p, livestore.New(), func(b *bridge.Options, o *oidc.Options) {
		b.Audit = slog.New(slog.NewJSONHandler(&bridges, nil))
		o.Audit = slog.New(slog.NewJSONHandler(&own, nil))
	})
	p.subject, p.sid = "ada-lovelace", "sid-phone"
	v := newVisitor(t, a, p)
	v.logIn()
	id := v.OK("/id")
	token := p.logoutToken("", p.subject)
	require.Equal(t, http.StatusOK, a.post(token))
	require.Equal(t, http.StatusOK, a.post(token), "a replay is no further logout")
	require.Equal(t, http.StatusBadRequest, a.post(token+"x"))

	lines := map[string][]map[string]any{}
	for _, log := range [][]byte{own.Bytes(), bridges.Bytes()} {
		for text := range bytes.Lines(log) {
			var line map[string]any
			require.NoError(t, json.Unmarshal(text, &line))
			msg, _ := line["msg"].(string)
			lines[msg] = append(lines[msg], line)
		}
	}
	session, user := a.bridge.LogHash(id), a.bridge.LogHash(userID(p.subject))
	received, ended := lines["logout at the identity provider"], lines["session ended by the identity provider"]
	require.Len(t, received, 1)
	require.Equal(t, user, received[0]["user"])
	require.Equal(t, p.issuer, received[0]["issuer"])
	require.Len(t, ended, 1)
	require.Equal(t, []any{session, user, p.issuer}, []any{ended[0]["session"], ended[0]["user"], ended[0]["issuer"]})
	require.Len(t, lines["user logged in"], 1)
	require.Equal(t, user, lines["user logged in"][0]["user"])
	require.Len(t, lines["session ended"], 1)
	require.Equal(t, []any{session, user, "destroyed"}, []any{
		lines["session ended"][0]["session"], lines["session ended"][0]["user"], lines["session ended"][0]["reason"],
	})
	for _, secret := range []string{token, p.subject, p.sid, id, v.Cookie("sid")} {
		require.NotContains(t, own.String()+bridges.String(), secret)
	}
}
