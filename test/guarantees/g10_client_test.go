package guarantees_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestG10_ClientCookieOpensNothing(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	id, client := br.OK("/id"), br.Cookie("sid.cid")
	clientID, _ := a.ClientIDOf(id)

	thief := br.Another()
	thief.SetCookie("sid", "")
	require.Equal(t, client, thief.Cookie("sid.cid"))
	require.Equal(t, "0", thief.OK("/get"))
	require.NotEqual(t, id, thief.OK("/id"))
	ws := thief.Dial("/ws")
	require.Equal(t, `""`, ws.Ask("id"))
	require.Contains(t, ws.Ask("inc"), bridge.ErrSessionMissing.Error())
	require.Equal(t, "1", br.OK("/get"))
	now, _ := a.ClientIDOf(id)
	require.Equal(t, clientID, now)
	sessionID, _ := a.SessionIDOf(clientID)
	require.Equal(t, id, sessionID, "and it takes nothing over")
}

func TestG10_ClientCookieOpensNothing_MismatchIsHealed(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{EagerClient: true})
	site := a.Serve(t)
	br, other := webclient.NewBrowser(t, site), webclient.NewBrowser(t, site)
	br.OK("/inc")
	other.OK("/plain")
	id := br.OK("/id")
	clientID, _ := a.ClientIDOf(id)
	a.Page("/client", func(r *http.Request) (any, error) {
		if _, err := a.Session(r); err != nil {
			return nil, err
		}
		id, _ := bridge.ClientIDFrom(r.Context())
		return id, nil
	})
	other.SetCookie("sid", br.Cookie("sid"))
	require.NotEqual(t, clientID, other.Cookie("sid.cid"))
	require.Equal(t, clientID, other.OK("/client"))
	require.EqualValues(t, 1, a.Stats().Mismatches)
	require.Equal(t, clientID, other.OK("/client"), "its client cookie has been set to the session's client")
	require.EqualValues(t, 1, a.Stats().Mismatches)

	other.SetCookie("sid.cid", "")
	require.Equal(t, id, other.OK("/id"), "so it is without a client cookie")
	require.EqualValues(t, 2, a.Stats().Mismatches)
}

func TestG10_ClientCookieOpensNothing_StrictBindingRefuses(t *testing.T) {
	st := livestore.New()
	a := testkit.NewApp(t, st, &bridge.Options{StrictBinding: true, EagerClient: true})
	site := a.Serve(t)
	br, other := webclient.NewBrowser(t, site), webclient.NewBrowser(t, site)
	br.OK("/inc")
	id := br.OK("/id")
	other.OK("/plain")
	other.SetCookie("sid", br.Cookie("sid"))
	require.NotEqual(t, id, other.OK("/id"))
	require.Equal(t, `""`, other.Dial("/ws").Ask("id"))
	require.Equal(t, "1", other.OK("/inc"), "a session of its own")
	require.Equal(t, "2", br.OK("/inc"), "which hurts the other one in nothing")
	require.Equal(t, 2, teststore.StoredCount(t, st))
	require.Positive(t, a.Stats().Mismatches)
}
