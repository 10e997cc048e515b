package bridge_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// told is an Observer that writes down what it is called with, in words.
func told(words *[]string) bridge.Observer {
	say := func(format string, args ...any) { *words = append(*words, fmt.Sprintf(format, args...)) }
	return bridge.Observer{
		SessionSet:         func(e bridge.SessionSet) { say("set %s<-%s login:%v", e.UserID, e.PrevUserID, e.Login) },
		SessionDestroy:     func(e bridge.SessionDestroy) { say("end %s %s", e.UserID, e.Reason) },
		Cleanup:            func(e bridge.Cleanup) { say("cleanup %d", e.Cleared) },
		ConnOpen:           func(e bridge.ConnOpen) { say("open %s", e.UserID) },
		ConnClose:          func(e bridge.ConnClose) { say("close %s %d", e.UserID, e.Code) },
		Failure:            func(e bridge.Failure) { say("failure %s", e.Doing) },
		CredentialRejected: func(e bridge.CredentialRejected) { say("rejected %s", e.Reason) },
		Missed:             func(e bridge.Missed) { say("missed %d", e.Events) },
	}
}

func TestObserverHasAllKindsInOneOrderAndEachSaysWhoseItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		var words []string
		a.Observe(told(&words))
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		step := func(do func()) { do(); synctest.Wait() }
		step(func() { br.OK("/inc") })
		tab := br.Dial("/ws").Listen()
		synctest.Wait()
		step(func() { br.OK("/login?user=ada") })
		tab.ClosedEventually()
		synctest.Wait()
		step(func() { br.OK("/login?user=ada") })
		tab = br.Dial("/ws").Listen()
		synctest.Wait()
		step(func() { br.OK("/login?user=bob") })
		tab.ClosedEventually()
		synctest.Wait() // the server hears of the close after the client
		tab = br.Dial("/ws").Listen()
		synctest.Wait()
		step(func() { tab.Ask("inc") })
		step(func() { br.OK("/logout") })
		step(func() { tab.ClosedEventually() })
		step(func() { br.SetCookie("sid", "forged"); br.OK("/get") })
		step(func() { _, _ = a.Cleanup(t.Context()) })
		require.Equal(t, []string{
			"set <- login:false",
			"open ",
			"set ada<- login:true",
			"close  4001",
			"set ada<-ada login:true",
			"open ada",
			"set bob<-ada login:true",
			"close ada 4001",
			"open bob",
			"set bob<- login:false",
			"end bob logout",
			"close bob 4500",
			"rejected signature",
			"cleanup 0",
		}, words)
	})
}

func TestObserverIsCalledForTheKindsThatItNamesUntilItIsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		a.Observe(bridge.Observer{}) // wants nothing
		ends, sets := 0, 0
		a.Observe(bridge.Observer{SessionDestroy: func(bridge.SessionDestroy) { ends++ }})
		off := a.Observe(bridge.Observer{SessionSet: func(bridge.SessionSet) { sets++ }})
		h := a.Handler(a.Mux)
		p, _ := testkit.SignIn(t, h, "ada")
		synctest.Wait()
		off()
		off()
		p.Get(t, h, "/inc")
		p.Get(t, h, "/logout")
		synctest.Wait()
		require.Equal(t, []int{1, 1}, []int{ends, sets})
		require.Zero(t, a.Stats().EventsDropped)
	})
}

func TestObserverThatPanicsOrEndsItsGoroutineIsReportedAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{Keys: [][]byte{testkit.Key()}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		sets, others := 0, 0
		a.Observe(bridge.Observer{SessionSet: func(bridge.SessionSet) {
			switch sets++; sets {
			case 1:
				panic("an observer's own")
			case 2:
				runtime.Goexit() // as FailNow does
			}
		}})
		a.OnSessionSet(func(bridge.SessionSet) { others++ })
		h, p := a.Handler(a.Mux), webclient.Pocket{}
		for range 4 {
			require.Equal(t, 200, p.Get(t, h, "/inc").Code)
			synctest.Wait()
		}
		require.Equal(t, []int{4, 4}, []int{sets, others})
		require.Contains(t, log.String(), "an observer's own")
		require.Contains(t, log.String(), "ended its goroutine")
	})
}

func TestObserverIsToldWhereItHasMissedEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		release := make(chan struct{})
		sets, missed := 0, 0
		var order []string
		a.Observe(bridge.Observer{
			SessionSet: func(bridge.SessionSet) { <-release; sets++ },
			Missed: func(e bridge.Missed) {
				missed += e.Events
				order = append(order, fmt.Sprintf("%d then %d missed", sets, e.Events))
			},
		})
		events := a.Subscribe(t.Context(), 10)
		h, p := a.Handler(a.Mux), webclient.Pocket{}
		for range 1200 {
			p.Get(t, h, "/inc")
		}
		require.EqualValues(t, 1200-1025+1200-10, a.Stats().EventsDropped, "by both: one is in the function, 1024 wait")
		close(release)
		synctest.Wait()
		require.Equal(t, []string{"1025 then 175 missed"}, order, "told when the queue is empty: another event may be long in coming")
		p.Get(t, h, "/inc")
		synctest.Wait()
		require.Equal(t, 1201, sets+missed)
		for range 10 {
			require.IsType(t, bridge.SessionSet{}, <-events)
		}
		p.Get(t, h, "/inc")
		require.Equal(t, bridge.Missed{Events: 1191}, <-events, "in their place")
		require.IsType(t, bridge.SessionSet{}, <-events)
		require.Empty(t, events)
	})
}

func TestNarrowSubscriptionThatMissesEventsStillHasSome(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	events := a.Subscribe(t.Context(), 1)
	h, p := a.Handler(a.Mux), webclient.Pocket{}
	inc := func(n int) {
		for range n {
			p.Get(t, h, "/inc")
		}
	}
	inc(3)
	require.IsType(t, bridge.SessionSet{}, <-events)
	for range 5 {
		inc(3)
		require.Equal(t, bridge.Missed{Events: 2}, <-events)
		require.IsType(t, bridge.SessionSet{}, <-events)
		require.Empty(t, events)
	}
}

func TestEndsOfSessionsThatThisProcessHasNotSeenSayWhoseTheyWere(t *testing.T) {
	st := livestore.New()
	keys := [][]byte{testkit.Key()}
	before := testkit.NewApp(t, st, &bridge.Options{Keys: keys})
	h := before.Handler(before.Mux)
	_, ada := testkit.SignIn(t, h, "ada")
	_, bob := testkit.SignIn(t, h, "bob")
	p, _ := testkit.SignIn(t, h, "eve")

	a := testkit.NewApp(t, st, &bridge.Options{Keys: keys}) // after a restart
	ends := testkit.Record[bridge.SessionDestroy](t, a.Bridge)
	ok, err := a.DestroyByID(t.Context(), ada)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "ada", ends.Next().UserID)
	n, err := a.DestroyUser(t.Context(), "bob")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	end := ends.Next()
	require.Equal(t, []string{bob, "bob"}, []string{end.SessionID, end.UserID})
	p.Get(t, a.Handler(a.Mux), "/logout")
	require.Equal(t, "eve", ends.Next().UserID)
	require.Empty(t, ends.Rest())
}

func TestEndByTimeSaysWhoseTheSessionWas(t *testing.T) {
	for name, wrap := range map[string]func(*livestore.Store) store.Store{
		"sweep": func(st *livestore.Store) store.Store { return st },
		"list":  func(st *livestore.Store) store.Store { return teststore.Listing{Store: st, Lister: st} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := testkit.NewApp(t, wrap(livestore.New()), testkit.Expiring(0))
				ends := testkit.Record[bridge.SessionDestroy](t, a.Bridge)
				testkit.SignIn(t, a.Handler(a.Mux), "ada")
				time.Sleep(testkit.Idle + 2*testkit.Touch)
				n, err := a.Cleanup(t.Context())
				require.NoError(t, err)
				require.Equal(t, 1, n)
				end := ends.Next()
				require.Equal(t, "ada", end.UserID)
				require.Equal(t, bridge.ReasonExpired, end.Reason)
			})
		})
	}
}
