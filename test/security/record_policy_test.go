package security_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestRecordPolicyOfAddresses: a session has of its client's address what the policy leaves, at its
// beginning and at a login; events and log lines likewise.
func TestRecordPolicyOfAddresses(t *testing.T) {
	for _, c := range []struct {
		policy       bridge.RecordPolicy
		remote, want string
	}{
		{bridge.RecordFull, "192.0.2.77:99", "192.0.2.77"},
		{bridge.RecordNetwork, "192.0.2.77:99", "192.0.2.0/24"},
		{bridge.RecordNetwork, "[::ffff:192.0.2.77]:99", "192.0.2.0/24"},
		{bridge.RecordNetwork, "[2001:db8:1:2::77]:99", "2001:db8:1::/48"},
		{bridge.RecordNetwork, "[fe80::1%eth0]:99", "fe80::/48"},
		{bridge.RecordNetwork, "no address", ""},
		{bridge.RecordOff, "192.0.2.77:99", ""},
	} {
		st := livestore.New()
		var log bytes.Buffer
		a := testkit.NewApp(t, st, &bridge.Options{RecordAddr: c.policy, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		h := a.Handler(a.Mux)
		rejected := testkit.Record[bridge.CredentialRejected](t, a.Bridge)
		p := webclient.Pocket{}
		from := func(path string) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			r.RemoteAddr = c.remote
			r.Header.Set("X-Forwarded-For", "198.51.100.1")
			return p.Send(h, r)
		}
		from("/inc")
		id := from("/id").Body.String()
		require.Equal(t, c.want, teststore.Stored(t, st, id).Addr, "%+v", c)
		from("/login?user=ada")
		require.Equal(t, c.want, teststore.Stored(t, st, id).Addr, "%+v", c)
		p["sid"] = "forged"
		from("/get")
		require.Equal(t, c.want, rejected.Next().Addr, "%+v", c)
		if c.policy != bridge.RecordFull {
			require.NotContains(t, log.String(), "192.0.2.77")
		}
	}
}

// TestRecordPolicyOfConnections: events and lists show what the policy leaves, and the limit on
// connections counts full addresses.
func TestRecordPolicyOfConnections(t *testing.T) {
	for policy, want := range map[bridge.RecordPolicy]string{bridge.RecordNetwork: "127.0.0.0/24", bridge.RecordOff: ""} {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{
			RecordAddr: policy, RecordUserAgent: bridge.RecordOff, MaxConnsPerAddr: 1,
		})
		opened := testkit.Record[bridge.ConnOpen](t, a.Bridge)
		br := webclient.NewBrowser(t, a.Serve(t))
		br.Dial("/ws").Ask("id")
		ev := opened.Next()
		require.Equal(t, want, ev.Addr)
		require.Empty(t, ev.UserAgent)
		for _, f := range []bridge.ConnFilter{{}, {Addr: "127.0.0.1"}, {Addr: want}} {
			all := testkit.Conns(t, a.Bridge, f)
			require.Len(t, all, 1, "%+v", f)
			require.Equal(t, want, all[0].Addr)
			require.Empty(t, all[0].UserAgent)
		}
		require.Empty(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{Addr: "127.0.0.2"}))
		_, res, err := br.TryDial("/ws", nil)
		require.Error(t, err)
		require.Equal(t, http.StatusTooManyRequests, res.StatusCode)
	}
}

func TestRecordPolicyOfUserAgents(t *testing.T) {
	st := livestore.New()
	a := testkit.NewApp(t, st, &bridge.Options{RecordUserAgent: bridge.RecordOff})
	br := webclient.NewBrowser(t, a.Serve(t))
	br.Get("/login?user=ada", "User-Agent", "Lynx")
	rec := teststore.Stored(t, st, br.OK("/id"))
	require.Empty(t, rec.UserAgent)
	require.Equal(t, "127.0.0.1", rec.Addr)
}
