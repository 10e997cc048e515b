package bridge_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/endtoend"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestTLS: over https both cookies have the prefix __Host- and go to wss as well.
func TestTLS(t *testing.T) {
	a := endtoend.Build(t, livestore.New(), nil)
	a.Server.StartTLS()
	ada := endtoend.NewBrowser(t, a)
	res, err := ada.Do("/increment")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.GreaterOrEqual(t, res.TLS.Version, uint16(tls.VersionTLS12))
	names := []string{}
	for _, c := range res.Cookies() {
		names = append(names, c.Name)
		require.True(t, c.Secure, c.Name)
		require.True(t, c.HttpOnly, c.Name)
		require.Equal(t, "/", c.Path, c.Name)
		require.Empty(t, c.Domain, c.Name)
		require.Equal(t, http.SameSiteLaxMode, c.SameSite, c.Name)
	}
	require.ElementsMatch(t, []string{"__Host-sid", "__Host-sid.cid"}, names)

	tab := ada.Dial()
	require.Equal(t, "2", tab.Ask("increment"))
	ada.Get("/login?user=ada")
	require.Equal(t, bridge.CodeReconnect, tab.Closed())
	tab = ada.Dial()
	require.Equal(t, "ada", tab.Ask("user"))
	ada.Get("/logout")
	require.Equal(t, bridge.CodeDestroyed, tab.Closed())
	require.Empty(t, ada.Cookie("__Host-sid"))
	require.NotEmpty(t, ada.Cookie("__Host-sid.cid"), "the browser is still the same")
}

// TestStreaming: a response that has begun can still change its session; what needs a cookie comes
// too late, and is no whole response.
func TestStreaming(t *testing.T) {
	a := endtoend.Start(t, livestore.New(), nil)
	proceed := make(chan struct{})
	stream := func(w http.ResponseWriter, r *http.Request) {
		s, err := a.Bridge.Session(r)
		if err != nil {
			t.Error(err)
			return
		}
		if r.FormValue("early") != "" {
			s.Set("early", true)
		}
		io.WriteString(w, "begun,")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-proceed
		s.Set("late", true)
		io.WriteString(w, "done")
	}
	a.Mux.HandleFunc("/stream", stream)
	a.Page("/keys", func(_ *http.Request, s *bridge.Session) (string, error) {
		return strings.Join(slices.Sorted(s.Keys()), " "), nil
	})

	ada := endtoend.NewBrowser(t, a)
	res, err := ada.Do("/stream?early=1")
	require.NoError(t, err)
	begun := make([]byte, len("begun,"))
	_, err = io.ReadFull(res.Body, begun)
	require.NoError(t, err)
	require.Equal(t, "early", ada.Get("/keys"), "what was set before the first byte is stored when it arrives")
	tab := ada.Dial()
	require.Equal(t, "1", tab.Ask("increment"))
	proceed <- struct{}{}
	rest, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, "done", string(rest))
	require.Equal(t, "count early late", ada.Get("/keys"), "what was set later is stored at the end, merged")

	stranger := endtoend.NewBrowser(t, a)
	res, err = stranger.Do("/stream")
	require.NoError(t, err)
	proceed <- struct{}{}
	_, err = io.ReadAll(res.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "a session that can't have a cookie any more is not passed over in silence")
	require.NoError(t, res.Body.Close())
	require.Empty(t, stranger.Get("/keys"))
}

// TestGorillaBesideSocket: a handler written against gorilla/sessions, and a socket that wasn't,
// count on together.
func TestGorillaBesideSocket(t *testing.T) {
	a := endtoend.Start(t, livestore.New(), nil)
	sessions := a.Bridge.Gorilla()
	a.Mux.HandleFunc("/legacy", func(w http.ResponseWriter, r *http.Request) {
		endtoend.Answer(w, func() (string, error) {
			s, err := sessions.Get(r, "sid")
			if err != nil {
				return "", err
			}
			n, _ := s.Values["count"].(int)
			s.Values["count"] = n + 10
			if r.FormValue("end") != "" {
				s.Options.MaxAge = -1
			}
			return s.ID, s.Save(r, w)
		})
	})
	ada := endtoend.NewBrowser(t, a)
	id := ada.Get("/legacy")
	tab := ada.Dial()
	require.Equal(t, "11", tab.Ask("increment"))
	require.Equal(t, id, ada.Get("/legacy"))
	require.Equal(t, "22", tab.Ask("increment"))
	require.Equal(t, "23", ada.Get("/increment"))
	require.Equal(t, id, ada.Get("/id"))

	ada.Get("/legacy?end=1")
	require.Equal(t, bridge.CodeDestroyed, tab.Closed())
	require.Empty(t, ada.Cookie("sid"))
	require.Equal(t, "1", ada.Get("/increment"))
}
