package guarantees_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A socket with the token from before a login gets no message for the user, as soon as this Bridge
// has been notified of the login, wherever that was made (G6).
func TestG6_RotationWithoutAGap_NotifyReachesNoSocketThatALoginElsewhereHasShutOut(t *testing.T) {
	for name, hears := range map[string]func(a *testkit.App, br *webclient.Browser){
		"a request": func(_ *testkit.App, br *webclient.Browser) { br.OK("/inc") },
		"a socket":  func(_ *testkit.App, br *webclient.Browser) { br.Dial("/ws").Ask("id") },
		"a word":    func(a *testkit.App, br *webclient.Browser) { a.NotifyStoreSet(br.OK("/id"), false) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st, opts := livestore.New(), testkit.Lasting()
				opts.Keys = [][]byte{make([]byte, 32)}
				here, elsewhere := testkit.NewApp(t, st, opts), testkit.NewApp(t, st, opts)
				br := webclient.NewBrowser(t, here.ServeInMemory(t))
				br.OK("/inc")
				older := br.Dial("/ws")
				older.Ask("id")
				code := older.WhenClosed()
				other := webclient.NewBrowser(t, elsewhere.ServeInMemory(t))
				other.Client.Jar = br.Client.Jar
				other.OK("/login?user=ada")
				hears(here, br)
				n, err := here.Notify(t.Context(), bridge.To{UserID: "ada"}, []byte("for ada"))
				require.NoError(t, err)
				if name == "a socket" {
					require.Equal(t, 1, n)
				} else {
					require.Zero(t, n)
				}
				require.Equal(t, bridge.CodeReconnect, <-code)
			})
		})
	}
}
