package tracking_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/ends"
	"github.com/sessionbridge/sessionbridge/internal/errorcodes"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testhub"
	"github.com/sessionbridge/sessionbridge/internal/tracking"
	"github.com/sessionbridge/sessionbridge/store"
)

func hereRecord(id, clientID string) store.Record {
	return store.Record{ID: id, ClientID: clientID, Revision: 1}
}

func TestAConnectionOfASessionThatHasEndedIsClosed(t *testing.T) {
	for name, keep := range map[string]bool{"close": false, "keep": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := testhub.New()
				p := newProcess(t, hub, func(cfg *tracking.Config[*conn]) { cfg.KeepConns = keep })
				p.create("a", "client")
				_, err := hub.Destroy(t.Context(), "a") // between the handshake and the registration
				require.NoError(t, err)
				c, err := p.registerMember("1", "client", tracking.Member{SessionID: "a", Proved: 1}, nil)
				require.NoError(t, err)
				require.True(t, c.lost)
				require.Empty(t, p.sessionOf(c))
				_, _, closed, _ := p.seen()
				if keep {
					require.Empty(t, closed)
				} else {
					require.Equal(t, []registry.Close{
						{Code: errorcodes.Destroyed, Reason: "session ended during the handshake"},
					}, closed)
				}
			})
		})
	}
}

// The close code says why the session has ended, as for a connection that was open then.
func TestTheCloseOfAConnectionWhoseSessionHasEndedSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		known string // the reason, if the end is known here
		code  int
	}{
		"expired just now":        {"", errorcodes.Expired},
		"expired and was removed": {"<" + store.ReasonSwept + ">", errorcodes.Expired},
		"evicted":                 {"<evicted>", errorcodes.Evicted},
		"logged out":              {"<logout>", errorcodes.Destroyed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub, log := testhub.New(), (*ends.Log)(nil)
				p := newProcess(t, hub, func(cfg *tracking.Config[*conn]) { log = cfg.Ends })
				rec := hereRecord("a", "client")
				rec.Revision, rec.Expires = 0, time.Now().Add(time.Second)
				_, err := hub.Set(t.Context(), rec)
				require.NoError(t, err)
				time.Sleep(2 * time.Second) // between the handshake and the registration
				if c.known != "" {
					_, err := hub.Destroy(t.Context(), "a")
					require.NoError(t, err)
					log.Add("a", c.known)
				}
				_, err = p.registerMember("1", "client", tracking.Member{SessionID: "a", Proved: 1}, nil)
				require.NoError(t, err)
				_, _, closed, _ := p.seen()
				require.Equal(t, []registry.Close{{Code: c.code, Reason: "session ended during the handshake"}}, closed)
			})
		})
	}
}

func TestAConnectionThatALoginHasOvertakenIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t, testhub.New(), nil)
		p.create("a", "client")
		p.login("a", "ann")
		c, err := p.registerMember("1", "client", tracking.Member{SessionID: "a", Proved: 1}, nil)
		require.NoError(t, err)
		require.Empty(t, p.sessionOf(c))
		_, _, closed, _ := p.seen()
		require.Equal(t, []registry.Close{overtaken}, closed)
	})
}

func TestAConnectionMeetsTheSessionThatItsClientHasGotMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t, testhub.New(), nil)
		p.create("a", "client")
		time.Sleep(time.Second)
		began := time.Now() // of handshakes that the cookies of the session have not reached
		_, err := p.register("1", "a", "client", &tracking.Handshake{SessionID: "a", Began: began, NewestBefore: "a"})
		require.NoError(t, err)
		_, _, closed, later := p.seen()
		require.Empty(t, closed)
		require.Empty(t, later)

		_, err = p.register("2", "", "client", &tracking.Handshake{SessionID: "new", Began: began, NewestBefore: "a"})
		require.NoError(t, err)
		_, _, _, later = p.seen()
		require.Equal(t, []registry.Close{tracking.Reconnect}, later, "the cookies may still be on their way")

		_, err = p.register("3", "", "client", &tracking.Handshake{SessionID: "new", Began: began})
		require.NoError(t, err)
		_, _, closed, _ = p.seen()
		require.Equal(t, []registry.Close{overtaken}, closed, "it has begun during the handshake")

		time.Sleep(time.Minute)
		_, err = p.register("4", "", "client", &tracking.Handshake{SessionID: "new", Began: time.Now(), NewestBefore: "a"})
		require.NoError(t, err)
		_, _, closed, later = p.seen()
		require.Empty(t, closed)
		require.Empty(t, later, "it must have got the cookies by now")
	})
}

func TestARefusedConnectionIsNotRegistered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t, testhub.New(), nil)
		p.create("a", "client")
		for _, id := range []string{"1", "2"} {
			_, err := p.register(id, "a", "client", nil)
			require.NoError(t, err)
		}
		_, err := p.register("3", "a", "client", nil)
		require.ErrorIs(t, err, errorcodes.ErrTooManySessionConns)
		require.ErrorContains(t, err, "it has 2")
		_, err = p.register("1", "", "client", nil)
		require.ErrorIs(t, err, errorcodes.ErrIDTaken)
		require.Equal(t, 2, p.links.Count())
	})
}

func TestAConnectionIsAbandonedIfItsSessionCannotBeChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := testhub.New()
		p := newProcess(t, hub, nil)
		p.create("a", "client")
		hub.Node(0).SetNetwork(false, true)
		c, err := p.registerMember("1", "client", tracking.Member{SessionID: "a", Proved: 1}, nil)
		require.ErrorIs(t, err, gateway.ErrUnavailable)
		require.Error(t, c.ctx.Err())
		require.Zero(t, p.links.Count())
		hub.Node(0).SetNetwork(false, false)
	})
}
