package security_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// rejectedOf returns the next CredentialRejected without the fields that all of them share; ids are
// the session and client that it may name.
func rejectedOf(t *testing.T, all *testkit.Recorder[bridge.CredentialRejected]) bridge.CredentialRejected {
	t.Helper()
	e := all.Next()
	require.Equal(t, "192.0.2.1", e.Addr)
	require.Equal(t, "an agent", e.UserAgent)
	require.Equal(t, bridge.ViaHTTP, e.Via)
	e.Addr, e.UserAgent, e.Via = "", "", ""
	return e
}

func TestEachCredentialThatOpensNothingIsAnEventWithoutIt(t *testing.T) {
	a := testkit.NewTicketApp(t, livestore.New(), &bridge.Options{TokenFrom: bridge.TokenFromHeader("Authorization")})
	h := a.Handler(a.Mux)
	all := testkit.Record[bridge.CredentialRejected](t, a.Bridge)
	send := func(p webclient.Pocket, header ...string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/get", nil)
		r.Header.Set("User-Agent", "an agent")
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		p.Send(h, r)
	}

	send(webclient.Pocket{"sid": "forged"})
	require.Equal(t, bridge.CredentialRejected{Credential: bridge.CredentialCookie, Reason: bridge.RejectedSignature}, rejectedOf(t, all))

	ada, id := testkit.SignIn(t, h, "ada")
	client, _ := a.ClientIDOf(id)
	send(webclient.Pocket{"sid": "forged", "sid.cid": ada["sid.cid"]})
	require.Equal(t, bridge.CredentialRejected{Credential: bridge.CredentialCookie, Reason: bridge.RejectedSignature, ClientID: client}, rejectedOf(t, all))

	old := webclient.Pocket{"sid": ada["sid"], "sid.cid": ada["sid.cid"]}
	ada.Get(t, h, "/rotate")
	ada.Get(t, h, "/get") // presents the new token
	send(old)
	require.Equal(t, bridge.CredentialRejected{
		Credential: bridge.CredentialCookie, Reason: bridge.RejectedToken, ClientID: client, SessionID: id, UserID: "ada",
	}, rejectedOf(t, all))

	send(webclient.Pocket{}, "Authorization", "Bearer forged")
	require.Equal(t, bridge.CredentialRejected{Credential: bridge.CredentialToken, Reason: bridge.RejectedSignature}, rejectedOf(t, all))
	token := ada["sid"]
	ada.Get(t, h, "/logout")
	send(webclient.Pocket{}, "Authorization", "Bearer "+token)
	require.Equal(t, bridge.CredentialRejected{Credential: bridge.CredentialToken, Reason: bridge.RejectedSession, SessionID: id}, rejectedOf(t, all))

	visitor, other := testkit.SignIn(t, h, "bob")
	r := webclient.UpgradeRequest(t, "/ws", "Sec-Websocket-Protocol", bridge.Subprotocol+", "+bridge.Subprotocol+".ticket.forged", "User-Agent", "an agent")
	require.Equal(t, http.StatusUnauthorized, visitor.Send(h, r).Code)
	require.Equal(t, bridge.CredentialRejected{Credential: bridge.CredentialTicket, Reason: bridge.RejectedTicket}, rejectedOf(t, all))
	r = httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/redeem", nil)
	r.Header.Set("X-Ticket", "forged")
	r.Header.Set("User-Agent", "an agent")
	visitor.Send(h, r)
	client, _ = a.ClientIDOf(other)
	require.Equal(t, bridge.CredentialRejected{
		Credential: bridge.CredentialTicket, Reason: bridge.RejectedTicket, ClientID: client, SessionID: other, UserID: "bob",
	}, rejectedOf(t, all))

	require.Empty(t, all.Rest())
	require.EqualValues(t, 7, a.Stats().Refused)
	require.Zero(t, a.Stats().RejectionsDropped)
}

func TestSessionOfAnotherClientThatStrictBindingRefusesIsAnEvent(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{StrictBinding: true})
	h := a.Handler(a.Mux)
	all := testkit.Record[bridge.CredentialRejected](t, a.Bridge)
	ada, id := testkit.SignIn(t, h, "ada")
	thief, own := testkit.SignIn(t, h, "eve")
	thief["sid"] = ada["sid"]
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/get", nil)
	r.Header.Set("User-Agent", "an agent")
	thief.Send(h, r)
	client, _ := a.ClientIDOf(own)
	require.Equal(t, bridge.CredentialRejected{
		Credential: bridge.CredentialCookie, Reason: bridge.RejectedClient, ClientID: client, SessionID: id, UserID: "ada",
	}, rejectedOf(t, all))
}

// Invalid credentials of strangers displace no event of a session, and cause no Missed.
func TestStrangersCantPushEventsOfSessionsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		release := make(chan struct{})
		var got []string
		hold := func(what string) { <-release; got = append(got, what) }
		a.Observe(bridge.Observer{
			SessionSet:         func(bridge.SessionSet) { hold("set") },
			SessionDestroy:     func(bridge.SessionDestroy) { hold("end") },
			CredentialRejected: func(bridge.CredentialRejected) { hold("rejected") },
			Missed:             func(e bridge.Missed) { hold(fmt.Sprint("missed ", e.Events)) },
		})
		only := 0
		a.OnCredentialRejected(func(bridge.CredentialRejected) { <-release; only++ })
		h := a.Handler(a.Mux)
		const junk = 5000
		for range junk {
			webclient.Pocket{"sid": "forged"}.Get(t, h, "/plain")
		}
		const sessions = 350 // two events each: with all rejections more than the queue holds
		for range sessions {
			p, _ := testkit.SignIn(t, h, "ada")
			p.Get(t, h, "/logout")
		}
		stats := a.Stats()
		require.EqualValues(t, junk, stats.Refused)
		require.Zero(t, stats.EventsDropped)
		close(release)
		synctest.Wait()
		count := map[string]int{}
		for _, what := range got {
			count[what]++
		}
		require.Equal(t, map[string]int{"set": sessions, "end": sessions, "rejected": 257}, count, "a quarter of the queue, and the one in the function")
		require.Equal(t, 257, only)
		require.EqualValues(t, 2*(junk-257), stats.RejectionsDropped)
	})
}

func TestRejectionsThatFindNoRoomAreNotTheOnesThatWereMissed(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	events := a.Subscribe(t.Context(), 4)
	h := a.Handler(a.Mux)
	for range 3 {
		webclient.Pocket{"sid": "forged"}.Get(t, h, "/plain")
	}
	p, _ := testkit.SignIn(t, h, "ada")
	p.Get(t, h, "/logout")
	require.IsType(t, bridge.CredentialRejected{}, <-events)
	require.IsType(t, bridge.SessionSet{}, <-events)
	require.IsType(t, bridge.SessionDestroy{}, <-events)
	require.Empty(t, events)
	require.EqualValues(t, 2, a.Stats().RejectionsDropped)
}
