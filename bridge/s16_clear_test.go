package bridge_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestS16_LogoutClearsSiteDataOnRequest(t *testing.T) {
	const header = "Clear-Site-Data"
	a := makeApp(t, livestore.New(), &bridge.Options{ClearSiteData: []string{"cache", "storage"}})
	h := a.Handler(a.mux)
	p := pocket{}
	require.Empty(t, p.get(t, h, "/inc").Header().Get(header))
	other := pocket{"sid": p["sid"], "sid.cid": p["sid.cid"]}
	w := p.get(t, h, "/logout")
	require.Equal(t, `"cache", "storage"`, w.Header().Get(header))
	require.Contains(t, w.Header().Get("Set-Cookie"), "Max-Age=0")
	require.Empty(t, other.get(t, h, "/inc").Header().Get(header), "for the one who has asked to be logged out")

	plain := makeApp(t, livestore.New(), nil)
	h, p = plain.Handler(plain.mux), pocket{}
	p.get(t, h, "/inc")
	require.Empty(t, p.get(t, h, "/logout").Header().Values(header))
}
