package opening_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/opening"
)

// The application's OriginAllowed runs under no lock of the Exchange: it may ask for the client.
func TestOriginAllowedMayUseTheExchange(t *testing.T) {
	var x opening.Exchange
	asked := 0
	codec := credentials.NewCodec(credentials.Config{
		Keys: [][]byte{make([]byte, 32)}, Name: "sid", ClientName: "sid.cid", Path: "/", SameSite: http.SameSiteLaxMode,
		OriginAllowed: func(*http.Request) bool {
			asked++
			return x.AskClient() != ""
		},
	})
	w := newWorld(t, func(cfg *opening.Config) { cfg.Codec = codec })
	r := httptest.NewRequest(http.MethodPost, "/", http.NoBody)
	r.Header.Set("Origin", "https://friend.test")
	w.Begin(&x, r, false)
	x.SetSession(opening.Cookie{Session: credentials.Session{ID: one, Token: token(1)}})
	h := make(http.Header)
	effects, err := x.WriteTo(h, credentials.Response{Request: r, Created: true, Guest: true})
	require.NoError(t, err)
	require.False(t, effects.Withheld)
	require.Len(t, h["Set-Cookie"], 2)
	require.Equal(t, 1, asked)
}
