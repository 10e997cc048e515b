package bridge_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestG10_ClientCookieOpensNothing(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	id, client := br.ok("/id"), br.cookie("sid.cid")
	clientID, _ := a.ClientIDOf(id)

	thief := br.another()
	thief.setCookie("sid", "")
	require.Equal(t, client, thief.cookie("sid.cid"))
	require.Equal(t, "0", thief.ok("/get"))
	require.NotEqual(t, id, thief.ok("/id"))
	ws := thief.dial("/ws")
	require.Equal(t, `""`, ws.ask("id"))
	require.Contains(t, ws.ask("inc"), bridge.ErrSessionMissing.Error())
	require.Equal(t, "1", br.ok("/get"))
	now, _ := a.ClientIDOf(id)
	require.Equal(t, clientID, now)
	sessionID, _ := a.SessionIDOf(clientID)
	require.Equal(t, id, sessionID, "and it takes nothing over")
}

func TestG10_ClientCookieOpensNothing_MismatchIsHealed(t *testing.T) {
	a := makeApp(t, livestore.New(), &bridge.Options{EagerClient: true})
	site := a.serve(t)
	br, other := newBrowser(t, site), newBrowser(t, site)
	br.ok("/inc")
	other.ok("/plain")
	id := br.ok("/id")
	clientID, _ := a.ClientIDOf(id)
	a.page("/client", func(r *http.Request) (any, error) {
		if _, err := a.Session(r); err != nil {
			return nil, err
		}
		id, _ := bridge.ClientIDFrom(r.Context())
		return id, nil
	})
	other.setCookie("sid", br.cookie("sid"))
	require.NotEqual(t, clientID, other.cookie("sid.cid"))
	require.Equal(t, clientID, other.ok("/client"))
	require.EqualValues(t, 1, a.Stats().Mismatches)
	require.Equal(t, clientID, other.ok("/client"), "its client cookie has been set to the session's client")
	require.EqualValues(t, 1, a.Stats().Mismatches)

	other.setCookie("sid.cid", "")
	require.Equal(t, id, other.ok("/id"), "so it is without a client cookie")
	require.EqualValues(t, 2, a.Stats().Mismatches)
}

func TestG10_ClientCookieOpensNothing_StrictBindingRefuses(t *testing.T) {
	st := livestore.New()
	a := makeApp(t, st, &bridge.Options{StrictBinding: true, EagerClient: true})
	site := a.serve(t)
	br, other := newBrowser(t, site), newBrowser(t, site)
	br.ok("/inc")
	id := br.ok("/id")
	other.ok("/plain")
	other.setCookie("sid", br.cookie("sid"))
	require.NotEqual(t, id, other.ok("/id"))
	require.Equal(t, `""`, other.dial("/ws").ask("id"))
	require.Equal(t, "1", other.ok("/inc"), "a session of its own")
	require.Equal(t, "2", br.ok("/inc"), "which hurts the other one in nothing")
	require.Equal(t, 2, storedCount(t, st))
	require.Positive(t, a.Stats().Mismatches)
}
