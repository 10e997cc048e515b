package guarantees_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// The server has sent a session's first cookies, and the network is slow. A socket that reconnects
// meanwhile, as it was told to, has no cookies yet: it is sent back until the browser has them, so
// that it doesn't stay without the session that its page has.
func TestG6_SocketThatComesBackBeforeTheCookiesIsSentBackAgain(t *testing.T) {
	for _, path := range []string{"/login?user=ada", "/inc"} {
		for _, late := range []time.Duration{300 * time.Millisecond, 3 * time.Second} {
			t.Run(path+" "+late.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a := testkit.NewApp(t, livestore.New(), nil)
					br := webclient.NewBrowser(t, webclient.ServeInMemory(t, slowLine(a.Handler(a.Mux), late)))
					ws := br.Dial("/ws")
					require.Equal(t, `""`, ws.Ask("id"))
					var wg sync.WaitGroup
					wg.Go(func() { br.Get(path, "Slow-Line", "yes") })
					backs := 0
					for ; br.Cookie("sid") == "" || backs == 0; backs++ {
						require.Equal(t, bridge.CodeReconnect, ws.Closed())
						ws = br.Dial("/ws")
					}
					wg.Wait()
					if ws.Ask("id") == `""` {
						require.Equal(t, bridge.CodeReconnect, ws.Closed())
						ws = br.Dial("/ws")
					}
					require.Equal(t, `"`+br.OK("/id")+`"`, ws.Ask("id"))
					require.Less(t, backs, 8)
					closed := ws.WhenClosed()
					time.Sleep(time.Minute)
					synctest.Wait()
					require.Empty(t, closed, "it stays")
				})
			})
		}
	}
}

// All tabs are sent back, however many there are.
func TestG6_ManySocketsThatComeBackBeforeTheCookiesAreSentBackAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		br := webclient.NewBrowser(t, webclient.ServeInMemory(t, a.Handler(a.Mux)))
		br.Dial("/ws")
		bare := br.Another()
		br.OK("/inc")
		var codes []<-chan int
		for range 40 {
			codes = append(codes, bare.Dial("/ws").WhenClosed())
		}
		for _, code := range codes {
			require.Equal(t, bridge.CodeReconnect, <-code)
		}
	})
}

// A stranger who creates sessions with a copy of the client cookie, again and again, can't prevent
// its owner's sockets from staying open.
func TestG10_CopiedClientCookieDoesNotKeepSocketsFromStaying(t *testing.T) {
	for _, path := range []string{"/inc", "/login?user=eve"} {
		synctest.Test(t, func(t *testing.T) {
			a := testkit.NewApp(t, livestore.New(), nil)
			s := webclient.ServeInMemory(t, a.Handler(a.Mux))
			br := webclient.NewBrowser(t, s)
			code := br.Dial("/ws").WhenClosed()
			thief := br.Another()
			for range 30 {
				if path == "/inc" {
					thief.SetCookie("sid", "")
				}
				thief.OK(path)
				time.Sleep(150 * time.Millisecond)
				synctest.Wait()
				if len(code) > 0 {
					code = br.Dial("/ws").WhenClosed()
				}
			}
			for range 30 {
				if path == "/inc" {
					thief.SetCookie("sid", "")
				}
				thief.OK(path)
				time.Sleep(150 * time.Millisecond)
				synctest.Wait()
				require.Empty(t, code)
			}
		})
	}
}

// A browser that keeps no session cookie, or has lost it, has its sockets sent back a few times at
// most.
func TestG6_SocketWithoutTheSessionOfItsClientStaysInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		s := webclient.ServeInMemory(t, a.Handler(a.Mux))
		br := webclient.NewBrowser(t, s)
		br.OK("/inc")
		bare := webclient.NewBrowser(t, s)
		bare.SetCookie("sid.cid", br.Cookie("sid.cid"))
		ws := bare.Dial("/ws")
		for range 10 {
			code := ws.WhenClosed()
			time.Sleep(time.Minute)
			synctest.Wait()
			if len(code) == 0 {
				return
			}
			require.Equal(t, bridge.CodeReconnect, <-code)
			ws = bare.Dial("/ws")
		}
		require.Fail(t, "it is sent back again and again")
	})
}

// A handler that requires a session closes the socket with a code to reconnect, as long as the
// page's cookies may be on their way.
func TestG6_SocketThatComesBeforeTheCookiesIsToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		a.Mux.Handle("/members", a.WebSocket(testkit.Converse, &bridge.ConnOptions{OnMissing: bridge.CloseMissing}))
		s := webclient.ServeInMemory(t, a.Handler(a.Mux))
		br := webclient.NewBrowser(t, s)
		require.Equal(t, bridge.CodeNoSession, br.Dial("/members").Closed(), "nobody has a session")
		bare := br.Another()
		br.OK("/inc")
		require.Equal(t, br.Cookie("sid.cid"), bare.Cookie("sid.cid"))
		require.Equal(t, bridge.CodeReconnect, bare.Dial("/members").Closed())
		time.Sleep(10 * time.Second)
		require.Equal(t, bridge.CodeNoSession, bare.Dial("/members").Closed(), "they have been lost")
		require.Equal(t, "2", br.Dial("/members").Ask("inc"))
	})
}

// slowLine delays the response to a request with the header Slow-Line by that time.
func slowLine(server http.Handler, late time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Slow-Line") == "" {
			server.ServeHTTP(w, r)
			return
		}
		response := httptest.NewRecorder()
		server.ServeHTTP(response, r)
		time.Sleep(late)
		maps.Copy(w.Header(), response.Header())
		w.WriteHeader(response.Code)
		_, _ = response.Body.WriteTo(w)
	})
}
