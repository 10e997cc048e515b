package security_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func renewing() *bridge.Options { return &bridge.Options{RenewEvery: time.Hour} }

func TestS04_TokenIsRenewedWhenItIsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), renewing())
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		first := br.Cookie("sid")
		ws := br.Dial("/ws").Listen()
		time.Sleep(time.Hour - time.Second)
		require.Equal(t, "1", br.OK("/get"))
		require.Equal(t, first, br.Cookie("sid"), "not before its time")
		time.Sleep(time.Second)
		br.OK("/plain")
		require.Equal(t, first, br.Cookie("sid"), "not for a request that doesn't open its session")
		old := br.Another()
		rep := br.Get("/get")
		require.Equal(t, "no-store", rep.Header.Get("Cache-Control"))
		second := br.Cookie("sid")
		require.NotEqual(t, first, second)
		require.Equal(t, "2", ws.Ask("inc"), "sockets stay, as with every plain rotation")
		br.OK("/get")
		require.Equal(t, second, br.Cookie("sid"), "the new token is young")
		time.Sleep(10 * time.Second)
		require.Equal(t, "0", old.OK("/get"), "the old one opens nothing any more")
		time.Sleep(time.Hour)
		require.Equal(t, "3", br.OK("/inc"), "together with a change of the session")
		require.NotEqual(t, second, br.Cookie("sid"))
		require.Equal(t, "3", br.OK("/get"))
	})
}

func TestS04_OfManyRequestsAtOnceOneRenews(t *testing.T) {
	for path, changes := range map[string]int{"/get": 0, "/inc": 1} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 20
				a := testkit.NewApp(t, livestore.New(), renewing())
				h := a.Handler(a.Mux)
				start := webclient.Pocket{}
				start.Get(t, h, "/inc")
				time.Sleep(time.Hour)
				var mu sync.Mutex
				var tokens []string
				var wg sync.WaitGroup
				for range n {
					mine := maps.Clone(start)
					wg.Go(func() {
						w := mine.Get(t, h, path)
						mu.Lock()
						defer mu.Unlock()
						if w.Code != http.StatusOK {
							t.Errorf("%d: %s", w.Code, w.Body)
						}
						if mine["sid"] != start["sid"] {
							tokens = append(tokens, mine["sid"])
						}
					})
				}
				wg.Wait()
				require.Len(t, tokens, 1, "exactly one renews")
				start["sid"] = tokens[0]
				require.Equal(t, fmt.Sprint(1+n*changes), start.Get(t, h, "/get").Body.String(), "nothing is lost")
			})
		})
	}
}

// Requests with the previous token still work, and set no cookie that would replace the new one.
func TestS04_PreviousTokenIsNotRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{RenewEvery: time.Second, RotateGrace: time.Minute})
		h := a.Handler(a.Mux)
		p := webclient.Pocket{}
		p.Get(t, h, "/inc")
		time.Sleep(time.Second)
		old := maps.Clone(p)
		p.Get(t, h, "/get")
		require.NotEqual(t, old["sid"], p["sid"])
		time.Sleep(2 * time.Second)
		w := old.Get(t, h, "/inc")
		require.Equal(t, "2", w.Body.String())
		require.Empty(t, w.Header()["Set-Cookie"])
	})
}

func TestS04_RenewalComesWithTheResponseOrNotAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, renewing())
		a.Mux.HandleFunc("/late", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "begun ")
			_, err := a.Session(r)
			_, _ = fmt.Fprint(w, err)
		})
		a.Mux.HandleFunc("/long", func(w http.ResponseWriter, r *http.Request) {
			_, err := a.Session(r)
			time.Sleep(time.Minute)
			_, _ = fmt.Fprint(w, err)
		})
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		time.Sleep(time.Hour)
		token := br.Cookie("sid")

		require.Equal(t, "begun <nil>", br.OK("/late"), "the headers have gone")
		require.Equal(t, token, br.Cookie("sid"))
		ws := br.Dial("/ws")
		require.Equal(t, token, br.Cookie("sid"), "browsers may drop the cookies of a 101")
		require.Equal(t, "2", ws.Ask("inc"))

		other := br.Another()
		done := make(chan string, 1)
		go func() { done <- br.Get("/long").Body }()
		synctest.Wait()
		time.Sleep(30 * time.Second)
		require.Equal(t, "2", other.OK("/get"), "while a handler takes its time its browser's token is good")
		require.NotEqual(t, token, other.Cookie("sid"))
		require.Equal(t, "<nil>", <-done)
		require.Equal(t, token, br.Cookie("sid"), "another has renewed it meanwhile")
	})
}

func TestS04_StoreThatFailsAtARenewalFailsNoRequest(t *testing.T) {
	for name, fault := range map[string]teststore.Fault{
		"it refuses":           teststore.Refuse(errors.New("disk full")),
		"it hangs":             teststore.Hang,
		"its reply is lost":    teststore.LoseReply(errors.New("connection reset")),
		"it answers, too late": func(ctx context.Context, call func() error) error { defer func() { <-ctx.Done() }(); return call() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := teststore.NewFaulty()
				a := testkit.NewApp(t, st, renewing())
				h := a.Handler(a.Mux)
				p := webclient.Pocket{}
				p.Get(t, h, "/inc")
				time.Sleep(time.Hour)
				st.Next(1, "Set", fault)
				w := p.Get(t, h, "/get")
				require.Equal(t, http.StatusOK, w.Code)
				require.Equal(t, "1", w.Body.String())
				time.Sleep(time.Minute) // past the grace of a token that was replaced
				w = p.Get(t, h, "/get")
				require.Equal(t, "1", w.Body.String(), "whatever became of it, the browser has the token that is good")
			})
		})
	}
}

// A response that begins within WithSession renews the token, and the function still works on the
// record that it has read.
func TestS04_RenewalWithinWithSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), renewing())
		a.Mux.HandleFunc("/within", func(w http.ResponseWriter, r *http.Request) {
			err := a.WithSession(r, func(_ context.Context, s *bridge.Session) error {
				n, _ := testkit.Count.Get(s)
				_, _ = io.WriteString(w, "within")
				testkit.Count.Set(s, n+1)
				return nil
			}, nil)
			if err != nil {
				t.Error(err)
			}
		})
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		time.Sleep(time.Hour)
		before := br.Cookie("sid")
		require.Equal(t, "within", br.OK("/within"))
		require.NotEqual(t, before, br.Cookie("sid"))
		require.Equal(t, "2", br.OK("/get"))
	})
}

// The renewal doesn't make a function overwrite changes of others since it read the session.
func TestS04_RenewalWithinWithSessionLosesNoUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := testkit.NewApp(t, st, renewing())
		other := testkit.NewBridge(t, st, nil) // another node
		runs := 0
		a.Mux.HandleFunc("/within", func(w http.ResponseWriter, r *http.Request) {
			err := a.WithSession(r, func(ctx context.Context, s *bridge.Session) error {
				n, _ := testkit.Count.Get(s)
				if runs++; runs == 1 {
					if err := other.UpdateByID(context.WithoutCancel(t.Context()), s.ID(), func(ctx context.Context, s *bridge.Session) error {
						_, err := testkit.Increment(ctx, s)
						return err
					}); err != nil {
						return err
					}
					_, _ = io.WriteString(w, "within")
				}
				testkit.Count.Set(s, n+1)
				return nil
			}, nil)
			if err != nil {
				t.Error(err)
			}
		})
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		time.Sleep(time.Hour)
		before := br.Cookie("sid")
		require.Equal(t, "within", br.OK("/within"))
		require.NotEqual(t, before, br.Cookie("sid"))
		require.Equal(t, "3", br.OK("/get"), "one, another's, and its own")
		require.Equal(t, 2, runs)
	})
}

func TestRenewalIsReportedAsARotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), renewing())
		h := a.Handler(a.Mux)
		p := webclient.Pocket{}
		p.Get(t, h, "/inc")
		time.Sleep(time.Hour)
		set := testkit.Record[bridge.SessionSet](t, a.Bridge)
		p.Get(t, h, "/get")
		e := set.Next()
		require.True(t, e.Rotated)
		require.Empty(t, e.Keys)
		require.Equal(t, bridge.ViaHTTP, e.Via)
	})
}

func TestRenewalNeedsAGrace(t *testing.T) {
	for _, opts := range []bridge.Options{
		{RenewEvery: time.Hour, RotateGrace: bridge.Off},
		{Timeouts: bridge.TimeoutsNISTAAL2, RotateGrace: bridge.Off},
	} {
		_, err := bridge.New(livestore.New(), &opts)
		require.ErrorContains(t, err, "RotateGrace")
	}
	testkit.NewBridge(t, livestore.New(), &bridge.Options{Timeouts: bridge.TimeoutsNISTAAL2, RenewEvery: bridge.Off, RotateGrace: bridge.Off})
}
