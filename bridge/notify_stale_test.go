package bridge_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A socket that knows only the token from before a login gets nothing that is for the user, as soon as this Bridge has heard of the login, wherever it was made (G6).
func TestG6_RotationWithoutAGap_NotifyReachesNoSocketThatALoginElsewhereHasShutOut(t *testing.T) {
	for name, hears := range map[string]func(a *app, br *browser){
		"a request": func(_ *app, br *browser) { br.ok("/inc") },
		"a socket":  func(_ *app, br *browser) { br.dial("/ws").ask("id") },
		"a word":    func(a *app, br *browser) { a.NotifyStoreSet(br.ok("/id"), false) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st, opts := livestore.New(), lasting()
				opts.Keys = [][]byte{make([]byte, 32)}
				here, elsewhere := makeApp(t, st, opts), makeApp(t, st, opts)
				br := newBrowser(t, here.serveInMemory(t))
				br.ok("/inc")
				older := br.dial("/ws")
				older.ask("id")
				code := older.whenClosed()
				other := newBrowser(t, elsewhere.serveInMemory(t))
				other.client.Jar = br.client.Jar
				other.ok("/login?user=ada")
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
