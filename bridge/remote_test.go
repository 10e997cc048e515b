package bridge_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// device is a Remote that records what reaches it.
type device struct {
	*bridge.RemoteLink
	messages chan string
	closed   chan bridge.ConnClose // Code and Reason
}

func attachDevice(t *testing.T, a *testkit.App, r bridge.Remote) *device {
	t.Helper()
	d := &device{messages: make(chan string, 10), closed: make(chan bridge.ConnClose, 10)}
	r.Notify = func(_ websocket.MessageType, data []byte) error { d.messages <- string(data); return nil }
	r.Close = func(code int, reason string) { d.closed <- bridge.ConnClose{Code: code, Reason: reason} }
	var err error
	d.RemoteLink, err = a.AttachRemote(t.Context(), r)
	require.NoError(t, err)
	return d
}

// requireGone checks that the device was closed with the code, once, and left nothing behind.
func (d *device) requireGone(t *testing.T, a *testkit.App, code int) {
	t.Helper()
	synctest.Wait()
	require.Len(t, d.closed, 1)
	require.Equal(t, code, (<-d.closed).Code)
	require.Error(t, d.Context().Err())
	require.Empty(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{ClientID: d.ClientID()}))
	require.False(t, d.Renew(time.Hour))
}

func TestRemoteIsListedAndNotifiedAndWorksOnItsSession(t *testing.T) {
	for name, makeStore := range stores {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st, _ := makeStore()
				a := testkit.NewApp(t, st, nil)
				ada, id := testkit.SignIn(t, a.Handler(a.Mux), "ada")
				client, _ := a.ClientIDOf(id)
				opened, ended := testkit.Record[bridge.ConnOpen](t, a.Bridge), testkit.Record[bridge.ConnClose](t, a.Bridge)
				d := attachDevice(t, a, bridge.Remote{
					ID: "lamp-1", SessionID: id, Addr: "192.0.2.1", UserAgent: strings.Repeat("l", 300), Data: 7, Lease: time.Hour,
				})
				require.Equal(t, bridge.ConnOpen{
					ConnID: "lamp-1", ClientID: client, SessionID: id, UserID: "ada", Addr: "192.0.2.1",
					UserAgent: strings.Repeat("l", 256),
				}, opened.Next())
				all := testkit.Conns(t, a.Bridge, bridge.ConnFilter{})
				require.Len(t, all, 1)
				require.True(t, all[0].Remote)
				require.Equal(t, "lamp-1", all[0].ID)
				require.Equal(t, id, all[0].SessionID)
				require.Equal(t, 7, all[0].Data)

				for _, to := range []bridge.To{{SessionID: id}, {ClientID: client}, {UserID: "ada"}, {All: true}, {Conns: []string{"lamp-1"}}} {
					a.MustNotify(t, to, "on", 1)
					require.Equal(t, "on", <-d.messages)
				}
				n, err := bridge.WithSession(t.Context(), d, testkit.Increment, nil)
				require.NoError(t, err)
				require.Equal(t, 1, n)

				_, err = a.AttachRemote(t.Context(), bridge.Remote{ID: "lamp-1", Lease: time.Hour})
				require.ErrorIs(t, err, bridge.ErrConnID)
				d.Detach()
				require.Equal(t, "lamp-1", ended.Next().ConnID)
				require.Empty(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{}))
				require.Empty(t, d.closed, "the application has detached it itself")
				require.False(t, d.Renew(time.Hour))

				again := attachDevice(t, a, bridge.Remote{ID: "lamp-1", SessionID: id, ClientID: client, Lease: time.Hour})
				ada.Get(t, a.Handler(a.Mux), "/logout")
				again.requireGone(t, a, bridge.CodeDestroyed)
				require.ErrorIs(t, context.Cause(again.Context()), bridge.ErrSessionGone)
				deadlines := a.Deadlines()
				again.Renew(time.Hour)
				require.Equal(t, deadlines, a.Deadlines(), "nothing is planned for it any more")
			})
		})
	}
}

// TestRemoteIsGoneWhenItsLeaseEnds, to the moment.
func TestRemoteIsGoneWhenItsLeaseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, id := testkit.NewSessionOf(t, nil)
		ended := testkit.Record[bridge.ConnClose](t, a.Bridge)
		d := attachDevice(t, a, bridge.Remote{SessionID: id, Lease: time.Minute})
		for range 3 {
			time.Sleep(time.Minute - 1)
			require.True(t, d.Renew(time.Minute))
		}
		require.True(t, d.Renew(time.Second), "it may be shortened")
		time.Sleep(time.Second - 1)
		synctest.Wait()
		require.NoError(t, d.Context().Err())
		time.Sleep(time.Nanosecond)
		d.requireGone(t, a, bridge.CodeIdle)
		require.Equal(t, bridge.CodeIdle, ended.Next().Code)
		require.True(t, testkit.SessionExists(t, a.Bridge, id))

		d = attachDevice(t, a, bridge.Remote{Lease: time.Hour})
		require.True(t, d.Renew(-1), "it ends as soon as possible")
		time.Sleep(bridge.MinTimeout)
		d.requireGone(t, a, bridge.CodeIdle)
	})
}

// TestRemotesHaveNoGoroutineAndNoTimer but a place in the Bridge's queue of deadlines.
func TestRemotesHaveNoGoroutineAndNoTimer(t *testing.T) {
	a, _, id := testkit.NewSessionOf(t, nil)
	attachDevice(t, a, bridge.Remote{SessionID: id, Lease: time.Hour})
	before, deadlines := testkit.Goroutines(), a.Deadlines()
	var devices []*device
	for range 1000 {
		devices = append(devices, attachDevice(t, a, bridge.Remote{SessionID: id, Lease: time.Hour}))
	}
	require.LessOrEqual(t, testkit.Goroutines(), before+10)
	require.Equal(t, deadlines+1000, a.Deadlines())
	for _, d := range devices {
		d.Detach()
	}
	require.Equal(t, deadlines, a.Deadlines())
}

func TestRemoteIsClosedAsConnectionsAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{IdleTimeout: time.Hour, TouchInterval: time.Minute, MaxConnsPerSession: 1, MaxConnsPerAddr: 2})
		h := a.Handler(a.Mux)
		ada, id := testkit.SignIn(t, h, "ada")

		d := attachDevice(t, a, bridge.Remote{SessionID: id, Lease: 24 * time.Hour})
		_, err := a.AttachRemote(t.Context(), bridge.Remote{SessionID: id, Lease: time.Hour})
		require.ErrorIs(t, err, bridge.ErrTooManySessionConns)
		ada.Get(t, h, "/login?user=ada")
		require.Empty(t, d.SessionID(), "at once")
		time.Sleep(5 * time.Second) // for the response with the new cookies
		d.requireGone(t, a, bridge.CodeReconnect)

		d = attachDevice(t, a, bridge.Remote{SessionID: id, Lease: 24 * time.Hour})
		ok, err := a.CloseConn(t.Context(), d.ID(), 4242, "enough")
		require.NoError(t, err)
		require.True(t, ok)
		d.requireGone(t, a, 4242)

		for range 3 { // without an address
			attachDevice(t, a, bridge.Remote{Lease: time.Hour}).Detach()
		}
		client := attachDevice(t, a, bridge.Remote{ClientID: "7b0cb4a3-6a4c-4c0e-9b5d-3f7f8d0f6f11", Addr: "192.0.2.1", Lease: time.Hour})
		require.Empty(t, client.SessionID())
		attachDevice(t, a, bridge.Remote{Addr: "192.0.2.1", Lease: time.Hour})
		_, err = a.AttachRemote(t.Context(), bridge.Remote{Addr: "192.0.2.1", Lease: time.Hour})
		require.ErrorIs(t, err, bridge.ErrTooManyAddrConns)

		d = attachDevice(t, a, bridge.Remote{SessionID: id, Lease: 24 * time.Hour})
		time.Sleep(59 * time.Minute)
		d.Active()
		synctest.Wait()
		time.Sleep(59 * time.Minute)
		require.NoError(t, d.Context().Err(), "its activity keeps the session")
		d.Renew(24 * time.Hour)
		time.Sleep(3 * time.Minute)
		d.requireGone(t, a, bridge.CodeExpired)
	})
}

// TestRemoteWhoseNotifyFailsIsGone, and so is one whose functions panic.
func TestRemoteWhoseNotifyFailsIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, id := testkit.NewSessionOf(t, nil)
		failures := testkit.Record[bridge.Failure](t, a.Bridge)
		closed := make(chan int, 1)
		_, err := a.AttachRemote(t.Context(), bridge.Remote{
			SessionID: id, Lease: time.Hour,
			Notify: func(websocket.MessageType, []byte) error { return errors.New("the broker is down") },
			Close:  func(code int, _ string) { closed <- code; panic("in the application") },
		})
		require.NoError(t, err)
		a.MustNotify(t, bridge.To{SessionID: id}, "on", 1)
		synctest.Wait()
		require.Equal(t, bridge.CodeFailed, <-closed)
		require.ErrorIs(t, failures.Next().Err, bridge.ErrPanicked)
		require.Empty(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{}))

		_, err = a.AttachRemote(t.Context(), bridge.Remote{SessionID: id, Lease: time.Hour})
		require.NoError(t, err)
		a.MustNotify(t, bridge.To{SessionID: id}, "on", 0)
		_, err = a.DestroyByID(t.Context(), id)
		require.NoError(t, err)
		synctest.Wait()
		require.Empty(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{}))
	})
}

func TestAttachRemoteChecksWhatItIsGiven(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, nil)
	_, id := testkit.SignIn(t, a.Handler(a.Mux), "ada")
	for want, r := range map[string]bridge.Remote{
		"Remote.Lease":               {SessionID: id},
		"Remote.ID":                  {ID: "a lamp", Lease: time.Hour},
		"Remote.Name":                {Name: "a\tlamp", Lease: time.Hour},
		"Remote.OnName":              {OnNameInUse: 3, Lease: time.Hour},
		"Remote.ClientID is not":     {SessionID: id, ClientID: "7b0cb4a3-6a4c-4c0e-9b5d-3f7f8d0f6f11", Lease: time.Hour},
		`Remote.ClientID: "another"`: {ClientID: "another", Lease: time.Hour},
		`Remote.ClientID: "7B`:       {ClientID: "7B0CB4A3-6A4C-4C0E-9B5D-3F7F8D0F6F11", Lease: time.Hour},
		"Remote.Addr":                {Addr: "a lamp", Lease: time.Hour},
	} {
		_, err := a.AttachRemote(t.Context(), r)
		require.ErrorContains(t, err, want)
	}
	for _, lease := range []time.Duration{-1, bridge.MinTimeout - 1, century + 1} {
		_, err := a.AttachRemote(t.Context(), bridge.Remote{Lease: lease})
		require.ErrorContains(t, err, "Remote.Lease")
	}
	valid := bridge.Remote{SessionID: id, Lease: time.Hour, Close: func(int, string) { t.Error("it is not attached") }}
	gone := valid
	gone.SessionID = "gone"
	_, err := a.AttachRemote(t.Context(), gone)
	require.ErrorIs(t, err, bridge.ErrSessionMissing)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(testkit.ErrApp)
	_, err = a.AttachRemote(ctx, valid)
	require.ErrorIs(t, err, testkit.ErrApp)
	for fails := 1; fails <= 2; fails++ { // the load, and the one after the registration
		st.Next(fails, "Get", teststore.Refuse(errors.New("down")))
		_, err = a.AttachRemote(t.Context(), valid)
		require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
		require.Empty(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{}))
	}
	require.NoError(t, a.Shutdown(t.Context()))
	_, err = a.AttachRemote(t.Context(), valid)
	require.ErrorIs(t, err, bridge.ErrShutdown)
}

func TestShutdownClosesRemotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, id := testkit.NewSessionOf(t, nil)
		ended := testkit.Record[bridge.ConnClose](t, a.Bridge)
		d := attachDevice(t, a, bridge.Remote{SessionID: id, Lease: time.Hour})
		require.NoError(t, a.Shutdown(t.Context()))
		d.requireGone(t, a, bridge.CodeShutdown)
		require.Equal(t, bridge.CodeShutdown, ended.Next().Code)
	})
}

// TestG5_NoRemoteOutlivesItsSession that ends while it is being attached.
func TestG5_NoRemoteOutlivesItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, nil)
		p, id := testkit.SignIn(t, a.Handler(a.Mux), "ada")
		for _, path := range []string{"/login?user=ada", "/logout"} {
			st.Next(1, "Get", func(_ context.Context, call func() error) error {
				err := call()
				p.Get(t, a.Handler(a.Mux), path) // between the load and the registration
				return err
			})
			d := attachDevice(t, a, bridge.Remote{SessionID: id, Lease: time.Hour})
			require.Empty(t, d.SessionID())
			synctest.Wait()
			require.Len(t, d.closed, 1)
		}
	})
}

func ExampleBridge_AttachRemote() {
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	// A message broker reports that a device has connected, and which session it belongs to.
	device, err := b.AttachRemote(context.Background(), bridge.Remote{
		ID:    "lamp-1", // SessionID: of the user who has added the device
		Lease: time.Minute,
		Notify: func(_ websocket.MessageType, data []byte) error {
			return publish("devices/lamp-1", data)
		},
		Close: func(int, string) { _ = publish("devices/lamp-1/bye", nil) },
	})
	if err != nil {
		panic(err)
	}
	// The broker reports each ping of the device ...
	device.Renew(time.Minute)
	// ... and that it has disconnected.
	device.Detach()
	if err := b.Shutdown(context.Background()); err != nil {
		panic(err)
	}
	// Output:
}

// publish stands for a client of a message broker.
func publish(string, []byte) error { return nil }

var _ bridge.Sessioner = (*bridge.RemoteLink)(nil)

// A lease that is renewed while the link is detached leaves nothing in the clock.
func TestRenewBesideDetachLeavesNoDeadline(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), nil)
	before := b.Deadlines()
	for range 20000 {
		l, err := b.AttachRemote(t.Context(), bridge.Remote{Lease: time.Hour})
		require.NoError(t, err)
		var both sync.WaitGroup
		both.Go(func() { l.Renew(time.Hour) })
		both.Go(l.Detach)
		both.Wait()
	}
	require.Equal(t, before, b.Deadlines())
}

// A Remote's functions may use the Bridge; one that panics or hangs hurts only itself.
func TestRemoteFunctions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, id := testkit.NewSessionOf(t, nil)
		var panicking *bridge.RemoteLink
		var err error
		panicking, err = a.AttachRemote(t.Context(), bridge.Remote{
			SessionID: id, Lease: time.Hour,
			Notify: func(websocket.MessageType, []byte) error { panic("notify") },
			Close:  func(int, string) { panic("close") },
		})
		require.NoError(t, err)
		hang := make(chan struct{})
		defer close(hang)
		_, err = a.AttachRemote(t.Context(), bridge.Remote{
			SessionID: id, Lease: time.Hour, Close: func(int, string) { <-hang },
		})
		require.NoError(t, err)
		var used *bridge.RemoteLink
		done := false
		used, err = a.AttachRemote(t.Context(), bridge.Remote{
			ID: "uses", SessionID: id, Lease: time.Hour,
			Notify: func(websocket.MessageType, []byte) error {
				if _, err := a.Conn(t.Context(), "uses"); err != nil {
					return err
				}
				used.Renew(time.Hour)
				_, err := a.Notify(t.Context(), bridge.To{Conns: []string{"other"}}, []byte("x"))
				return err
			},
			Close: func(int, string) {
				_, _ = a.DestroyByID(t.Context(), id)
				used.Renew(time.Hour)
				_, _ = a.CloseConn(t.Context(), "uses", 1000, "")
				done = true
			},
		})
		require.NoError(t, err)
		_, err = a.Notify(t.Context(), bridge.To{SessionID: id}, []byte("hello"))
		require.NoError(t, err)
		synctest.Wait()
		was, err := a.DestroyByID(t.Context(), id)
		require.NoError(t, err)
		require.True(t, was)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.True(t, done)
		require.Error(t, panicking.Context().Err())
		require.Error(t, used.Context().Err())
	})
}

// A device without a session says why it has none, as a connection does.
func TestRemoteWithoutASessionHasAReason(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	d := attachDevice(t, a, bridge.Remote{Lease: time.Hour})
	require.Equal(t, bridge.MissingNoCredential, d.MissingReason())
	err := d.WithSession(t.Context(), func(context.Context, *bridge.Session) error { return nil }, nil)
	require.ErrorIs(t, err, bridge.ErrSessionMissing)
	require.Equal(t, bridge.MissingNoCredential, bridge.MissingReasonOf(err))
}

// A device may be attached again with its ID as soon as its close has begun: also by its own Close,
// however long that takes. The end of the old connection is reported before the beginning of the
// new one.
func TestRemoteIsAttachedAgainWithItsIDByItsOwnClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, id := testkit.NewSessionOf(t, nil)
		var events []string
		a.Observe(bridge.Observer{
			ConnOpen:  func(e bridge.ConnOpen) { events = append(events, "open "+e.ConnID) },
			ConnClose: func(e bridge.ConnClose) { events = append(events, "close "+e.ConnID+" "+e.Reason) },
		})
		release, again := make(chan struct{}), make(chan error, 1)
		defer close(release)
		_, err := a.AttachRemote(t.Context(), bridge.Remote{
			ID: "lamp-1", Name: "lamp", OnNameInUse: bridge.RefuseName, SessionID: id, Lease: time.Hour,
			Close: func(int, string) {
				_, err := a.AttachRemote(t.Context(), bridge.Remote{
					ID: "lamp-1", Name: "lamp", OnNameInUse: bridge.RefuseName, Lease: time.Hour, Close: func(int, string) { <-release },
				})
				again <- err
				<-release
			},
		})
		require.NoError(t, err)
		was, err := a.DestroyByID(t.Context(), id)
		require.NoError(t, err)
		require.True(t, was)
		require.NoError(t, <-again)

		ok, err := a.CloseConn(t.Context(), "lamp-1", 4000, "second")
		require.NoError(t, err)
		require.True(t, ok)
		third, err := a.AttachRemote(t.Context(), bridge.Remote{ID: "lamp-1", Lease: time.Hour})
		require.NoError(t, err, "at once")
		third.Detach()
		synctest.Wait()
		require.Equal(t, []string{
			"open lamp-1", "close lamp-1 destroyed", "open lamp-1", "close lamp-1 second", "open lamp-1", "close lamp-1 ",
		}, events)
	})
}

// Connections with one ID, one after the other, are reported in this order.
func TestConnEventsOfOneIDComeInOrder(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	open, disorder := 0, 0
	change := func(by int) {
		if open += by; open < 0 || open > 1 {
			disorder++
		}
	}
	off := a.Observe(bridge.Observer{
		ConnOpen:  func(bridge.ConnOpen) { change(1) },
		ConnClose: func(bridge.ConnClose) { change(-1) },
	})
	defer off()
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for range 100 {
				l, err := a.AttachRemote(t.Context(), bridge.Remote{ID: "lamp-1", Lease: time.Hour})
				if err != nil {
					continue // the ID is taken
				}
				if _, err := a.CloseConn(t.Context(), "lamp-1", 4000, ""); err != nil {
					t.Error(err)
				}
				l.Detach()
			}
		})
	}
	workers.Wait()
	require.NoError(t, a.Shutdown(t.Context())) // which waits for the callbacks
	require.Zero(t, disorder)
	require.Zero(t, open)
}
