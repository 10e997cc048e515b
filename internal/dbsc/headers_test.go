package dbsc_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/dbsc"
)

func TestHeadersOfResponses(t *testing.T) {
	h := make(http.Header)
	dbsc.Offer(h, both, "/device/register", "abc")
	dbsc.ChallengeHeader(h, "def", "the-session")
	require.Equal(t, http.Header{
		"Secure-Session-Registration": {`(ES256 RS256);path="/device/register";challenge="abc"`},
		"Secure-Session-Challenge":    {`"def";id="the-session"`},
	}, h)
	dbsc.ChallengeHeader(h, `a"b\c`, "s")
	require.Equal(t, `"a\"b\\c";id="s"`, h.Get("Secure-Session-Challenge"))
}

func TestHeadersOfRequests(t *testing.T) {
	for _, c := range []struct{ value, want string }{
		{"abc", "abc"},
		{`"abc"`, "abc"},
		{` "abc" `, "abc"},
		{`"abc`, `"abc`},
		{`"`, `"`},
		{`""`, ""},
		{"", ""},
	} {
		h := http.Header{"Sec-Secure-Session-Id": {c.value}, "Secure-Session-Response": {c.value}}
		require.Equal(t, c.want, dbsc.ReadID(h), c.value)
		require.Equal(t, c.want, dbsc.ReadProof(h), c.value)
	}
	require.Empty(t, dbsc.ReadID(nil))
	require.Empty(t, dbsc.ReadProof(nil))
	require.Empty(t, dbsc.ReadID(http.Header{"Sec-Secure-Session-Id": {strings.Repeat("x", 129)}}))
	require.Equal(t, "a,b", dbsc.ReadProof(http.Header{"Secure-Session-Response": {"a", "b"}}), "no JWT")
	require.True(t, dbsc.Skipped(http.Header{"Secure-Session-Skipped": {`unreachable;session_identifier="x"`}}))
	require.False(t, dbsc.Skipped(nil))
}

func TestCookieAndInstructionsAreAlike(t *testing.T) {
	for _, c := range []struct {
		cookie     http.Cookie
		attributes string
	}{
		{
			http.Cookie{Name: "__Host-sid.device", Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode},
			"Path=/; HttpOnly; Secure; SameSite=Lax",
		},
		{
			http.Cookie{Name: "sid.device", Path: "/app", Secure: true, HttpOnly: true, SameSite: http.SameSiteNoneMode, Partitioned: true},
			"Path=/app; HttpOnly; Secure; SameSite=None; Partitioned",
		},
		{http.Cookie{Name: "d", Path: "/", Secure: true, MaxAge: 5}, "Path=/; Secure"},
	} {
		in := dbsc.Instructions{SessionID: "the-session", RefreshURL: "/device/refresh", Cookie: c.cookie}
		body, err := in.Encode()
		require.NoError(t, err)
		require.JSONEq(t, `{
			"session_identifier": "the-session",
			"refresh_url": "/device/refresh",
			"scope": {"include_site": false},
			"credentials": [{"type": "cookie", "name": "`+c.cookie.Name+`", "attributes": "`+c.attributes+`"}]
		}`, string(body))
		line := dbsc.SetCookie(c.cookie, "value", 585)
		require.Equal(t, c.cookie.Name+"=value; "+c.attributes+"; Max-Age=585", line)
		parsed, err := http.ParseSetCookie(line)
		require.NoError(t, err)
		require.Empty(t, parsed.Unparsed)
	}
	body, err := dbsc.End("the-session")
	require.NoError(t, err)
	require.JSONEq(t, `{"session_identifier": "the-session", "continue": false}`, string(body))
}

func FuzzHeaders(f *testing.F) {
	f.Add("abc", `"abc"`)
	f.Add(`"`, " ")
	f.Add(`"a\"b"`, `";id="`)
	f.Fuzz(func(t *testing.T, id, proof string) {
		h := http.Header{"Sec-Secure-Session-Id": {id}, "Secure-Session-Response": {proof}}
		got := dbsc.ReadID(h)
		require.LessOrEqual(t, len(got), 128)
		require.Contains(t, id, got)
		require.Contains(t, proof, dbsc.ReadProof(h))
		if bare := strings.TrimSpace(strings.Trim(id, `"`)); bare == id && len(id) <= 128 {
			require.Equal(t, id, got, "nothing else is stripped")
		}
	})
}
