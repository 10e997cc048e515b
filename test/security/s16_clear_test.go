package security_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestS16_LogoutClearsSiteDataOnRequest(t *testing.T) {
	const header = "Clear-Site-Data"
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{ClearSiteData: []string{"cache", "storage"}})
	h := a.Handler(a.Mux)
	p := webclient.Pocket{}
	require.Empty(t, p.Get(t, h, "/inc").Header().Get(header))
	other := webclient.Pocket{"sid": p["sid"], "sid.cid": p["sid.cid"]}
	w := p.Get(t, h, "/logout")
	require.Equal(t, `"cache", "storage"`, w.Header().Get(header))
	require.Contains(t, w.Header().Get("Set-Cookie"), "Max-Age=0")
	require.Empty(t, other.Get(t, h, "/inc").Header().Get(header), "for the one who has asked to be logged out")

	plain := testkit.NewApp(t, livestore.New(), nil)
	h, p = plain.Handler(plain.Mux), webclient.Pocket{}
	p.Get(t, h, "/inc")
	require.Empty(t, p.Get(t, h, "/logout").Header().Values(header))
}
