package credentials_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
)

// A token without a request is read whichever requests it is of, with or without its padding.
func TestTokenIsRead(t *testing.T) {
	codec, cred := newCodec(nil), credentials.Session{ID: sessionID, Token: credentials.NewToken()}
	for _, secure := range []bool{false, true} {
		text, err := codec.Token(cred, secure)
		require.NoError(t, err)
		require.NotContains(t, text, "=")
		cookie := set(t, codec, secure, cred)["sid"]
		if secure {
			cookie = set(t, codec, secure, cred)["__Host-sid"]
		}
		for _, text := range []string{text, cookie, " " + text + "\r\n"} {
			var p credentials.Presented
			require.True(t, codec.ReadToken(&p, text, clientID))
			require.Equal(t, credentials.ByToken, p.Carrier)
			require.Equal(t, cred.ID, p.Sessions[0].ID)
			require.Equal(t, cred.Token, p.Sessions[0].Token)
			_, ok := p.Client(clientID)
			require.True(t, ok)
			require.True(t, codec.ReadToken(&p, text, ""))
		}
	}
	text, err := codec.Token(cred, true)
	require.NoError(t, err)
	client := set(t, codec, true, cred)["__Host-sid.cid"]
	for _, forged := range []string{"", "=", client, text[1:], text + "A", text[:9] + "\n" + text[9:], strings.Repeat("A", 1<<20)} {
		var p credentials.Presented
		require.False(t, codec.ReadToken(&p, forged, ""), "%.200q", forged)
	}
	_, err = codec.Token(credentials.Session{ID: "mine"}, true)
	require.Error(t, err)
}

// The cookies of a token are those that a response would set.
func TestCookiesOfAToken(t *testing.T) {
	codec, cred := newCodec(nil), credentials.Session{ID: sessionID, Token: credentials.NewToken()}
	for _, secure := range []bool{false, true} {
		text, err := codec.Token(cred, secure)
		require.NoError(t, err)
		cookies, ok := codec.Cookies(text+"\n", sessionID, clientID, secure, time.Hour)
		require.True(t, ok)
		j := jar{}
		for _, c := range cookies {
			j[c.Name] = c.Value
		}
		x := read(codec, request(j), secure)
		require.Equal(t, cred.Token, x.presented.Sessions[0].Token)
		require.Equal(t, clientID, x.presented.Clients[0].ID)
		require.Equal(t, 3600, cookies[0].MaxAge)

		for name, ok := range map[string]bool{
			"of the other kind":  is(codec.Cookies(text, sessionID, clientID, !secure, time.Hour)),
			"of another session": is(codec.Cookies(text, otherID, clientID, secure, time.Hour)),
			"without a client":   is(codec.Cookies(text, sessionID, "", secure, time.Hour)),
			"forged":             is(codec.Cookies(text[1:], sessionID, clientID, secure, time.Hour)),
		} {
			require.False(t, ok, name)
		}
	}
}

// is returns whether there are cookies.
func is[T any](_ T, ok bool) bool { return ok }
