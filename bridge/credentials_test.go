package bridge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
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

// insecure are the options of an application on plain HTTP, whose clients may have tokens.
func insecure() *bridge.Options {
	return &bridge.Options{DangerouslyInsecure: true, Secure: bridge.SecureNever, TokenFrom: bridge.TokenFromHeader("Authorization")}
}

// create returns the credentials of a new session.
func create(t testing.TB, b *bridge.Bridge, n bridge.NewSession) bridge.Credentials {
	t.Helper()
	c, err := b.Create(t.Context(), n)
	require.NoError(t, err)
	return c
}

// pocketOf returns the cookies of the credentials.
func pocketOf(b *bridge.Bridge, c bridge.Credentials) webclient.Pocket {
	p := webclient.Pocket{}
	for _, cookie := range b.CookiesFor(c) {
		p[cookie.Name] = cookie.Value
	}
	return p
}

// One session, without a request, with a token and with cookies.
func TestCredentialsOnEveryStore(t *testing.T) {
	for name, makeStore := range stores {
		t.Run(name, func(t *testing.T) {
			st, behind := makeStore()
			a := testkit.NewApp(t, st, insecure())
			h := a.Handler(a.Mux)
			set := testkit.Record[bridge.SessionSet](t, a.Bridge)
			c := create(t, a.Bridge, bridge.NewSession{
				UserID: "ada", Data: map[string]any{"n": 1, "none": nil}, Idle: time.Hour, Lifetime: bridge.Off,
				Addr: "192.0.2.7", UserAgent: strings.Repeat("a", 300),
			})
			require.Equal(t, bridge.SessionSet{
				ClientID: c.ClientID, SessionID: c.SessionID, UserID: "ada",
				IsNew: true, IsInit: true, Login: true, Keys: []string{"n", "none"}, Via: bridge.ViaAPI,
			}, sortedKeys(set.Next()))
			rec := teststore.Stored(t, behind, c.SessionID)
			require.Equal(t, "192.0.2.7", rec.Addr)
			require.Len(t, rec.UserAgent, 256)
			require.Equal(t, time.Hour, rec.Idle)
			require.Zero(t, rec.Lifetime)
			require.NotZero(t, rec.LoggedIn)

			s, err := a.Open(t.Context(), c)
			require.NoError(t, err)
			require.Equal(t, []string{c.SessionID, c.ClientID, "ada"}, []string{s.ID(), s.ClientID(), s.UserID()})
			n, _ := testkit.Count.Get(s)
			require.Equal(t, 1, n)
			require.ErrorIs(t, s.Login("eve"), bridge.ErrSessionClosed, "it is a snapshot")

			add := func(ctx context.Context, s *bridge.Session) error { _, err := testkit.Increment(ctx, s); return err }
			require.NoError(t, a.WithCredentials(t.Context(), c, add))
			require.Equal(t, bridge.ViaAPI, set.Next().Via)
			require.Equal(t, "2", pocketOf(a.Bridge, c).Get(t, h, "/get").Body.String())
			r := webclient.Request(t, "/get")
			r.Header.Set("Authorization", "Bearer "+c.Token)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, "2", w.Body.String())

			was, err := a.DestroyByID(t.Context(), c.SessionID)
			require.NoError(t, err)
			require.True(t, was)
			_, err = a.Open(t.Context(), c)
			require.ErrorIs(t, err, bridge.ErrSessionMissing)
			require.ErrorIs(t, a.WithCredentials(t.Context(), c, add), bridge.ErrSessionMissing)
			require.Zero(t, teststore.StoredCount(t, behind))
		})
	}
}

func sortedKeys(set bridge.SessionSet) bridge.SessionSet {
	slices.Sort(set.Keys)
	return set
}

// What a request presents opens its session here, too.
func TestCredentialsOfRequests(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{TokenFrom: bridge.TokenFromHeader("Authorization")})
	h := a.Handler(a.Mux)
	for _, scheme := range []string{"http", "https"} {
		for _, carrier := range []string{"cookie", "token"} {
			t.Run(scheme+" "+carrier, func(t *testing.T) {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://example.com/login?user=ada", nil)
				if carrier == "token" {
					r.Header.Set("Authorization", "Bearer")
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				token := w.Header().Get(bridge.SessionTokenHeader)
				if carrier == "cookie" {
					token = w.Result().Cookies()[0].Value
				}
				s, err := a.Open(t.Context(), bridge.Credentials{Token: token})
				require.NoError(t, err)
				require.Equal(t, "ada", s.UserID())
			})
		}
	}
}

func TestCreateOfAnEmptyGuest(t *testing.T) {
	st := livestore.New()
	b := testkit.NewBridge(t, st, &bridge.Options{IdleTimeout: time.Hour, Lifetime: bridge.Off})
	c := create(t, b, bridge.NewSession{})
	rec := teststore.Stored(t, st, c.SessionID)
	require.Equal(t, time.Hour, rec.Idle)
	require.Zero(t, rec.Lifetime)
	s, err := b.Open(t.Context(), c)
	require.NoError(t, err)
	require.Empty(t, s.UserID())
	require.Zero(t, s.LoggedIn())
	require.Empty(t, slices.Collect(s.Keys()))
}

func TestCreateChecksWhatItIsGiven(t *testing.T) {
	st := livestore.New()
	b := testkit.NewBridge(t, st, &bridge.Options{MaxValueBytes: 100})
	var bad *bridge.ValueError
	for _, c := range []struct {
		n    bridge.NewSession
		is   error
		says string
	}{
		{bridge.NewSession{UserID: "a\x00b"}, bridge.ErrUserID, "NewSession.UserID"},
		{bridge.NewSession{ClientID: "mine"}, nil, "NewSession.ClientID"},
		{bridge.NewSession{ClientID: strings.Repeat("x", 1<<20)}, nil, "NewSession.ClientID"},
		{bridge.NewSession{Idle: -2}, nil, "NewSession.Idle"},
		{bridge.NewSession{Lifetime: time.Microsecond}, nil, "NewSession.Lifetime"},
		{bridge.NewSession{Data: map[string]any{"k": strings.Repeat("x", 100)}}, bridge.ErrSessionTooLarge, "MaxValueBytes"},
		{bridge.NewSession{Data: map[string]any{"k": make(chan int)}}, nil, `"k"`},
	} {
		none, err := b.Create(t.Context(), c.n)
		require.ErrorContains(t, err, c.says)
		require.Less(t, len(err.Error()), 300)
		require.Zero(t, none)
		if c.is != nil {
			require.ErrorIs(t, err, c.is)
		}
		if c.n.Data["k"] != nil && c.is == nil {
			require.ErrorAs(t, err, &bad)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(testkit.ErrApp)
	_, err := b.Create(ctx, bridge.NewSession{})
	require.ErrorIs(t, err, testkit.ErrApp)
	require.Zero(t, teststore.StoredCount(t, st))
}

func TestCreateKeepsTheLimits(t *testing.T) {
	t.Run("of a user", func(t *testing.T) {
		b := testkit.NewBridge(t, livestore.New(), &bridge.Options{MaxSessionsPerUser: 1})
		ended := testkit.Record[bridge.SessionDestroy](t, b)
		first := create(t, b, bridge.NewSession{UserID: "ada"})
		create(t, b, bridge.NewSession{UserID: "ada"})
		require.Equal(t, bridge.SessionDestroy{
			ClientID: first.ClientID, SessionID: first.SessionID, UserID: "ada",
			Reason: bridge.ReasonEvicted, Via: bridge.ViaAPI,
		}, ended.Next())
	})
	t.Run("of a user who is refused", func(t *testing.T) {
		b := testkit.NewBridge(t, livestore.New(), &bridge.Options{MaxSessionsPerUser: 1, OnTooManySessions: bridge.RefuseLogin})
		create(t, b, bridge.NewSession{UserID: "ada"})
		_, err := b.Create(t.Context(), bridge.NewSession{UserID: "ada"})
		require.ErrorIs(t, err, bridge.ErrTooManySessions)
		require.Len(t, testkit.Listed(t, b, bridge.Filter{}), 1)
	})
	t.Run("of a client", func(t *testing.T) {
		b := testkit.NewBridge(t, livestore.New(), &bridge.Options{MaxSessionsPerClient: 2})
		client := create(t, b, bridge.NewSession{}).ClientID
		for range 5 {
			create(t, b, bridge.NewSession{ClientID: client})
		}
		require.Len(t, testkit.Listed(t, b, bridge.Filter{ClientID: client}), 2)
	})
}

// A new session of a client sends back its connections, as over HTTP.
func TestCreateForAClientWithConnections(t *testing.T) {
	t.Parallel()
	a := testkit.NewApp(t, livestore.New(), nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	session, ws := br.OK("/id"), br.Dial("/ws")
	ws.Ask("id")
	client, _ := a.ClientIDOf(session)
	c := create(t, a.Bridge, bridge.NewSession{UserID: "ada", ClientID: client})
	newest, _ := a.SessionIDOf(client)
	require.Equal(t, c.SessionID, newest)
	require.Equal(t, bridge.CodeReconnect, ws.ClosedEventually())
	require.Equal(t, strconv.Quote(session), br.Dial("/ws").Ask("id"), "the browser still has its own cookie")
}

func TestCredentialsThatOpenNothing(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), insecure())
	c, other := create(t, a.Bridge, bridge.NewSession{UserID: "ada"}), create(t, a.Bridge, bridge.NewSession{})
	foreign := create(t, testkit.NewBridge(t, livestore.New(), nil), bridge.NewSession{})
	rotated := create(t, a.Bridge, bridge.NewSession{UserID: "ada"})
	h := a.Handler(a.Mux)
	p := pocketOf(a.Bridge, rotated)
	p.Get(t, h, "/rotate")
	p.Get(t, h, "/get") // presents the new token
	gone := create(t, a.Bridge, bridge.NewSession{})
	_, err := a.DestroyByID(t.Context(), gone.SessionID)
	require.NoError(t, err)
	rejected := testkit.Record[bridge.CredentialRejected](t, a.Bridge)
	for name, test := range map[string]struct {
		c      bridge.Credentials
		is     error
		reason bridge.RejectReason
		told   bridge.CredentialRejected
	}{
		"none":                {bridge.Credentials{}, bridge.ErrCredentials, bridge.RejectedSignature, bridge.CredentialRejected{}},
		"no token":            {bridge.Credentials{SessionID: c.SessionID, ClientID: c.ClientID}, bridge.ErrCredentials, bridge.RejectedSignature, bridge.CredentialRejected{ClientID: c.ClientID}},
		"of other keys":       {bridge.Credentials{Token: foreign.Token}, bridge.ErrCredentials, bridge.RejectedSignature, bridge.CredentialRejected{}},
		"a changed token":     {bridge.Credentials{Token: "A" + c.Token[1:]}, bridge.ErrCredentials, bridge.RejectedSignature, bridge.CredentialRejected{}},
		"a huge one":          {bridge.Credentials{Token: strings.Repeat("A", 1<<20), ClientID: strings.Repeat("A", 1<<20)}, bridge.ErrCredentials, bridge.RejectedSignature, bridge.CredentialRejected{}},
		"of another session":  {bridge.Credentials{SessionID: other.SessionID, Token: c.Token}, bridge.ErrCredentials, bridge.RejectedSignature, bridge.CredentialRejected{}},
		"the client's cookie": {bridge.Credentials{Token: a.CookiesFor(c)[1].Value}, bridge.ErrCredentials, bridge.RejectedSignature, bridge.CredentialRejected{}},
		"of an ended session": {gone, bridge.ErrSessionMissing, bridge.RejectedSession, bridge.CredentialRejected{ClientID: gone.ClientID, SessionID: gone.SessionID}},
		"a stale token":       {rotated, bridge.ErrSessionMissing, bridge.RejectedToken, bridge.CredentialRejected{ClientID: rotated.ClientID, SessionID: rotated.SessionID, UserID: "ada"}},
	} {
		t.Run(name, func(t *testing.T) {
			before := a.Stats().Refused
			test.told.Credential, test.told.Reason, test.told.Via = bridge.CredentialToken, test.reason, bridge.ViaAPI
			_, err := a.Open(t.Context(), test.c)
			require.ErrorIs(t, err, test.is)
			require.Equal(t, http.StatusUnauthorized, bridge.HTTPStatus(err))
			require.Equal(t, bridge.CodeNoSession, bridge.CloseCode(err))
			require.Equal(t, test.told, rejected.Next())
			err = a.WithCredentials(t.Context(), test.c, func(context.Context, *bridge.Session) error { return errors.New("fn was called") })
			require.ErrorIs(t, err, test.is)
			require.Equal(t, before+2, a.Stats().Refused)
			_, err = a.RotateCredentials(t.Context(), test.c)
			require.ErrorIs(t, err, test.is)
			_, err = a.LoginCredentials(t.Context(), test.c, "eve")
			require.ErrorIs(t, err, test.is)
			rejected.Rest()
		})
	}
	_, err = a.Open(t.Context(), c)
	require.NoError(t, err)
	require.Empty(t, rejected.Rest())
}

// The reason is that of a request with the token, for a token that is signed: its client has had the
// session. A stranger learns nothing.
func TestMissingReasonOfCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := testkit.NewApp(t, st, &bridge.Options{MaxSessionsPerUser: 1, StrictBinding: true, IdleTimeout: 2 * time.Hour})
		end := map[bridge.MissingReason]func(c bridge.Credentials) bridge.Credentials{
			bridge.MissingEnded: func(c bridge.Credentials) bridge.Credentials {
				_, err := a.DestroyByID(t.Context(), c.SessionID)
				require.NoError(t, err)
				return c
			},
			bridge.MissingEvicted: func(c bridge.Credentials) bridge.Credentials {
				create(t, a.Bridge, bridge.NewSession{UserID: "ada"})
				return c
			},
			bridge.MissingExpired: func(c bridge.Credentials) bridge.Credentials {
				time.Sleep(2*time.Hour + 10*time.Minute)
				return c
			},
			bridge.MissingReplaced: func(c bridge.Credentials) bridge.Credentials {
				_, err := a.LoginCredentials(t.Context(), c, "ada")
				require.NoError(t, err)
				time.Sleep(time.Hour)
				return c
			},
			bridge.MissingRefused: func(c bridge.Credentials) bridge.Credentials {
				c.ClientID = create(t, a.Bridge, bridge.NewSession{}).ClientID
				return c
			},
			bridge.MissingUnknown: func(c bridge.Credentials) bridge.Credentials {
				_, err := st.Destroy(t.Context(), c.SessionID)
				require.NoError(t, err)
				return c
			},
		}
		for reason, do := range end {
			c := do(create(t, a.Bridge, bridge.NewSession{UserID: "ada"}))
			_, err := a.Open(t.Context(), c)
			require.ErrorIs(t, err, bridge.ErrSessionMissing)
			require.Equal(t, reason, bridge.MissingReasonOf(err))
			err = a.WithCredentials(t.Context(), c, func(context.Context, *bridge.Session) error { return nil })
			require.ErrorIs(t, err, bridge.ErrSessionMissing)
			require.Equal(t, reason, bridge.MissingReasonOf(err))
			for _, forged := range []bridge.Credentials{
				{SessionID: c.SessionID, ClientID: c.ClientID},
				{SessionID: c.SessionID, ClientID: c.ClientID, Token: create(t, a.Bridge, bridge.NewSession{}).Token},
				{SessionID: c.SessionID, ClientID: c.ClientID, Token: "A" + c.Token[1:]},
			} {
				_, err = a.Open(t.Context(), forged)
				require.ErrorIs(t, err, bridge.ErrCredentials)
				require.Equal(t, bridge.MissingRefused, bridge.MissingReasonOf(err))
			}
		}
	})
}

func TestCredentialsWithStrictBinding(t *testing.T) {
	for _, strict := range []bool{false, true} {
		t.Run(fmt.Sprint(strict), func(t *testing.T) {
			b := testkit.NewBridge(t, livestore.New(), &bridge.Options{StrictBinding: strict})
			rejected := testkit.Record[bridge.CredentialRejected](t, b)
			c := create(t, b, bridge.NewSession{})
			_, err := b.Open(t.Context(), c)
			require.NoError(t, err)
			_, err = b.Open(t.Context(), bridge.Credentials{Token: c.Token})
			require.NoError(t, err, "a token alone has no client to compare")
			require.Zero(t, b.Stats().Mismatches)
			c.ClientID = create(t, b, bridge.NewSession{}).ClientID
			s, err := b.Open(t.Context(), c)
			require.EqualValues(t, 1, b.Stats().Mismatches)
			if strict {
				require.ErrorIs(t, err, bridge.ErrSessionMissing)
				require.Equal(t, bridge.RejectedClient, rejected.Next().Reason)
				return
			}
			require.NoError(t, err)
			require.NotEqual(t, c.ClientID, s.ClientID(), "the session keeps its own")
			require.Empty(t, rejected.Rest())
		})
	}
}

// The use of a session is activity, and a session ends in time.
func TestOpenIsActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := testkit.NewBridge(t, livestore.New(), &bridge.Options{IdleTimeout: time.Hour})
		c := create(t, b, bridge.NewSession{})
		for range 3 {
			time.Sleep(50 * time.Minute)
			_, err := b.Open(t.Context(), c)
			require.NoError(t, err)
		}
		for range 3 {
			time.Sleep(50 * time.Minute)
			require.NoError(t, b.WithCredentials(t.Context(), c, func(context.Context, *bridge.Session) error { return nil }))
		}
		time.Sleep(2 * time.Hour)
		_, err := b.Open(t.Context(), c)
		require.ErrorIs(t, err, bridge.ErrSessionMissing)
	})
}

func TestWithCredentials(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, nil)
	c, other := create(t, a.Bridge, bridge.NewSession{}), create(t, a.Bridge, bridge.NewSession{})
	ctx := t.Context()
	value := func() any {
		s, err := a.Open(ctx, c)
		require.NoError(t, err)
		v, _ := s.Get("k")
		return v
	}
	require.ErrorIs(t, a.WithCredentials(ctx, c, func(ctx context.Context, s *bridge.Session) error {
		s.Set("k", "failed")
		return testkit.ErrApp
	}), testkit.ErrApp)
	require.Nil(t, value())
	require.NoError(t, a.WithCredentials(ctx, c, func(ctx context.Context, s *bridge.Session) error {
		require.ErrorIs(t, s.Login("ada"), bridge.ErrNoCookies)
		require.ErrorContains(t, s.Login("ada"), "LoginCredentials")
		require.ErrorIs(t, s.Rotate(), bridge.ErrNoCookies)
		require.ErrorIs(t, a.WithCredentials(ctx, other, testkit.Set("k", 1)), bridge.ErrNested)
		_, err := a.LoginCredentials(ctx, c, "ada")
		require.ErrorIs(t, err, bridge.ErrNested)
		_, err = a.RotateCredentials(ctx, other)
		require.ErrorIs(t, err, bridge.ErrNested)
		return a.WithCredentials(ctx, c, testkit.Set("k", "nested"))
	}))
	require.Equal(t, "nested", value())

	runs := 0
	require.NoError(t, a.WithCredentials(ctx, c, func(_ context.Context, s *bridge.Session) error {
		if runs++; runs == 1 { // another writer, which takes no lock
			rec := teststore.Stored(t, st, c.SessionID)
			rec.Data = []byte(`{"k":"theirs"}`)
			_, err := st.Set(t.Context(), rec)
			require.NoError(t, err)
		}
		was, _ := s.Get("k")
		s.Set("k", fmt.Sprint(was, " and mine"))
		return nil
	}))
	require.Equal(t, "theirs and mine", value())

	require.ErrorIs(t, a.WithCredentials(ctx, c, func(ctx context.Context, s *bridge.Session) error {
		_, err := a.DestroyByID(context.WithoutCancel(t.Context()), c.SessionID)
		require.NoError(t, err)
		s.Set("k", "too late")
		return nil
	}), bridge.ErrSessionGone)
	require.False(t, testkit.SessionExists(t, a.Bridge, c.SessionID))
	st.Always(teststore.Refuse(errors.New("down")), "Get")
	_, err := a.Open(ctx, other)
	require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
	require.ErrorIs(t, a.WithCredentials(ctx, other, testkit.Set("k", 1)), bridge.ErrStoreUnavailable)
}

// It waits for its turn, and takes the session as it is then.
func TestWithCredentialsWaits(t *testing.T) {
	for name, test := range map[string]struct {
		meanwhile func(ctx context.Context, a *testkit.App, c bridge.Credentials) error
		is        error
	}{
		"for its turn": {func(context.Context, *testkit.App, bridge.Credentials) error { return nil }, nil},
		"and the session ends": {func(ctx context.Context, a *testkit.App, c bridge.Credentials) error {
			_, err := a.DestroyByID(ctx, c.SessionID)
			return err
		}, bridge.ErrSessionGone},
		"and its user logs in": {func(ctx context.Context, a *testkit.App, c bridge.Credentials) error {
			_, err := a.LoginCredentials(ctx, c, "ada")
			return err
		}, bridge.ErrTokenRotated},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := testkit.NewApp(t, livestore.New(), nil)
				c := create(t, a.Bridge, bridge.NewSession{})
				enter, leave := make(chan struct{}), make(chan struct{})
				first := make(chan error, 1)
				go func() {
					first <- a.WithCredentials(t.Context(), c, func(context.Context, *bridge.Session) error {
						close(enter)
						<-leave
						return nil
					})
				}()
				<-enter
				second := make(chan error, 1)
				go func() { second <- a.WithCredentials(t.Context(), c, testkit.Set("k", 1)) }()
				synctest.Wait()
				require.Empty(t, second)
				require.NoError(t, test.meanwhile(t.Context(), a, c))
				close(leave)
				require.NoError(t, <-first)
				require.ErrorIs(t, <-second, test.is)
			})
		})
	}
}

func TestLoginCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := testkit.NewApp(t, st, insecure())
		guest := create(t, a.Bridge, bridge.NewSession{Data: map[string]any{"cart": 3}, Addr: "192.0.2.7"})
		set := testkit.Record[bridge.SessionSet](t, a.Bridge)
		ada, err := a.LoginCredentials(t.Context(), guest, "ada")
		require.NoError(t, err)
		require.Equal(t, bridge.SessionSet{
			ClientID: guest.ClientID, SessionID: guest.SessionID, UserID: "ada", Login: true, Rotated: true, Via: bridge.ViaAPI,
		}, set.Next())
		require.Equal(t, guest.SessionID, ada.SessionID)
		require.Equal(t, guest.ClientID, ada.ClientID)
		s, err := a.Open(t.Context(), ada)
		require.NoError(t, err)
		require.Equal(t, "ada", s.UserID())
		require.Equal(t, []string{"cart"}, slices.Collect(s.Keys()))
		require.Equal(t, "192.0.2.7", teststore.Stored(t, st, ada.SessionID).Addr)

		_, err = a.Open(t.Context(), guest)
		require.ErrorIs(t, err, bridge.ErrTokenRotated)
		require.ErrorIs(t, a.WithCredentials(t.Context(), guest, testkit.Set("k", 1)), bridge.ErrTokenRotated)
		_, err = a.LoginCredentials(t.Context(), guest, "eve")
		require.ErrorIs(t, err, bridge.ErrTokenRotated)
		_, err = a.RotateCredentials(t.Context(), guest)
		require.ErrorIs(t, err, bridge.ErrTokenRotated)
		again, err := a.LoginCredentials(t.Context(), guest, "ada")
		require.NoError(t, err, "the answer to the first one may have been lost")
		_, err = a.Open(t.Context(), again)
		require.NoError(t, err)
		_, err = a.Open(t.Context(), ada)
		require.NoError(t, err, "it is the same token")
		time.Sleep(11 * time.Second)
		_, err = a.LoginCredentials(t.Context(), guest, "ada")
		require.ErrorIs(t, err, bridge.ErrSessionMissing)
		_, err = a.LoginCredentials(t.Context(), ada, "a\x00b")
		require.ErrorIs(t, err, bridge.ErrUserID)
	})
}

func TestLoginCredentialsCutsConnectionsOff(t *testing.T) {
	t.Parallel()
	a := testkit.NewApp(t, livestore.New(), insecure())
	site := a.Serve(t)
	c := create(t, a.Bridge, bridge.NewSession{})
	br := webclient.NewBrowser(t, site)
	for name, value := range pocketOf(a.Bridge, c) {
		br.SetCookie(name, value)
	}
	ws := br.Dial("/ws")
	require.Equal(t, strconv.Quote(c.SessionID), ws.Ask("id"))
	_, err := a.LoginCredentials(t.Context(), c, "ada")
	require.NoError(t, err)
	require.Equal(t, bridge.CodeReconnect, ws.ClosedEventually())
}

func TestRotateCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := testkit.NewBridge(t, livestore.New(), nil)
		old := create(t, b, bridge.NewSession{UserID: "ada"})
		now, err := b.RotateCredentials(t.Context(), old)
		require.NoError(t, err)
		require.NotEqual(t, old.Token, now.Token)
		time.Sleep(9 * time.Second)
		_, err = b.Open(t.Context(), old)
		require.NoError(t, err, "until the new one is presented")
		_, err = b.RotateCredentials(t.Context(), old)
		require.ErrorIs(t, err, bridge.ErrTokenRotated)
		require.NoError(t, b.WithCredentials(t.Context(), old, testkit.Set("k", 1)))
		s, err := b.Open(t.Context(), now)
		require.NoError(t, err)
		v, _ := s.Get("k")
		require.EqualValues(t, 1, v)
		time.Sleep(time.Millisecond)
		_, err = b.Open(t.Context(), old)
		require.ErrorIs(t, err, bridge.ErrSessionMissing)
	})
}

func TestCookiesFor(t *testing.T) {
	for name, test := range map[string]struct {
		opts         bridge.Options
		secure       bool
		session, cid string
	}{
		"by default": {bridge.Options{}, true, "__Host-sid", "__Host-sid.cid"},
		"for plain HTTP": {
			bridge.Options{DangerouslyInsecure: true, Secure: bridge.SecureNever, Partitioned: false, SameSite: http.SameSiteStrictMode}, false, "sid", "sid.cid",
		},
		"until the browser is closed": {
			bridge.Options{Cookie: bridge.CookieBrowserSession}, true, "__Host-sid", "__Host-sid.cid",
		},
		"with attributes": {bridge.Options{
			Name: "s", ClientName: "c", Domain: "example.com", Path: "/app", Partitioned: true, Secure: bridge.SecureAlways,
			Lifetime: time.Hour, ClientMaxAge: 2 * time.Hour, ClientRollEvery: time.Hour,
		}, true, "s", "c"},
	} {
		t.Run(name, func(t *testing.T) {
			a := testkit.NewApp(t, livestore.New(), &test.opts)
			c := create(t, a.Bridge, bridge.NewSession{UserID: "ada"})
			cookies := a.CookiesFor(c)
			require.Len(t, cookies, 2)
			scheme := "http"
			if test.secure {
				scheme = "https"
			}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://example.com/who", nil)
			for i, want := range []string{test.session, test.cid} {
				require.NoError(t, cookies[i].Valid())
				require.Equal(t, want, cookies[i].Name)
				require.Equal(t, test.secure, cookies[i].Secure)
				require.True(t, cookies[i].HttpOnly)
				require.Equal(t, test.opts.Partitioned, cookies[i].Partitioned)
				require.Equal(t, test.opts.Domain, cookies[i].Domain)
				r.AddCookie(cookies[i])
			}
			w := httptest.NewRecorder()
			a.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s, err := a.Session(r)
				require.NoError(t, err)
				fmt.Fprint(w, s.ID(), s.UserID())
			})).ServeHTTP(w, r)
			require.Equal(t, c.SessionID+"ada", w.Body.String())
			require.Zero(t, a.Stats().Mismatches)
			require.Equal(t, test.opts.Cookie == bridge.CookieBrowserSession, cookies[0].MaxAge == 0)
			if test.opts.Lifetime != 0 {
				require.Equal(t, 3600, cookies[0].MaxAge)
				require.Equal(t, 7200, cookies[1].MaxAge)
			}
		})
	}
}

func TestCookiesForOthersAreNone(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{TokenFrom: bridge.TokenFromHeader("Authorization")})
	c, other := create(t, a.Bridge, bridge.NewSession{}), create(t, a.Bridge, bridge.NewSession{})
	r := webclient.Request(t, "/login?user=ada")
	r.Header.Set("Authorization", "Bearer")
	w := httptest.NewRecorder()
	a.Handler(a.Mux).ServeHTTP(w, r)
	plain := w.Header().Get(bridge.SessionTokenHeader)
	s, err := a.Open(t.Context(), bridge.Credentials{Token: plain})
	require.NoError(t, err)
	for name, c := range map[string]bridge.Credentials{
		"none":               {},
		"no session":         {ClientID: c.ClientID, Token: c.Token},
		"no client":          {SessionID: c.SessionID, Token: c.Token},
		"a foreign token":    {SessionID: c.SessionID, ClientID: c.ClientID, Token: other.Token},
		"a forged token":     {SessionID: c.SessionID, ClientID: c.ClientID, Token: "A" + c.Token[1:]},
		"a foreign client":   {SessionID: c.SessionID, ClientID: other.ClientID, Token: c.Token},
		"no ID of a client":  {SessionID: c.SessionID, ClientID: "a; Domain=com", Token: c.Token},
		"one of plain HTTP":  {SessionID: s.ID(), ClientID: s.ClientID(), Token: plain},
		"a token with a tab": {SessionID: c.SessionID, ClientID: c.ClientID, Token: c.Token[:9] + "\t" + c.Token[9:]},
	} {
		require.Nil(t, a.CookiesFor(c), name)
	}
}

// A hook that destroys the session that Create makes.
func TestCreateThatTheHookDestroys(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), &bridge.Options{
		BeforeCommit: func(_ context.Context, s *bridge.Session) error { s.Destroy(); return nil },
	})
	_, err := b.Create(t.Context(), bridge.NewSession{UserID: "ada"})
	require.ErrorIs(t, err, bridge.ErrSessionGone)
}

// A token that came over plain HTTP is one for plain HTTP after a rotation.
func TestRotatedTokenOpensWhereTheOldOneDid(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{TokenFrom: bridge.TokenFromHeader("Authorization")})
	h := a.Handler(a.Mux)
	get := func(path, token string) *httptest.ResponseRecorder {
		r := webclient.Request(t, path)
		r.Header.Set("Authorization", "Bearer "+token)
		return webclient.Pocket{}.Send(h, r)
	}
	token := get("/inc", "").Header().Get(bridge.SessionTokenHeader)
	require.Equal(t, "1", get("/get", token).Body.String())
	next, err := a.RotateCredentials(t.Context(), bridge.Credentials{Token: token})
	require.NoError(t, err)
	require.Empty(t, a.CookiesFor(next), "a session of plain HTTP doesn't go on with Secure cookies")
	require.Equal(t, "1", get("/get", next.Token).Body.String())
}

// A login without a request records no more of the address than the policy allows now.
func TestLoginCredentialsFollowsRecordAddr(t *testing.T) {
	st := livestore.New()
	keys := [][]byte{bytes.Repeat([]byte("k"), 32)}
	before := testkit.NewBridge(t, st, &bridge.Options{Keys: keys})
	for _, want := range []struct {
		policy bridge.RecordPolicy
		agents bridge.RecordPolicy
		addr   string
		agent  string
	}{
		{bridge.RecordNetwork, bridge.RecordFull, "192.0.2.0/24", "agent"},
		{bridge.RecordOff, bridge.RecordOff, "", ""},
		{bridge.RecordFull, bridge.RecordFull, "192.0.2.7", "agent"},
	} {
		b := testkit.NewBridge(t, st, &bridge.Options{Keys: keys, RecordAddr: want.policy, RecordUserAgent: want.agents})
		c := create(t, before, bridge.NewSession{Addr: "192.0.2.7", UserAgent: "agent"})
		for range 2 {
			var err error
			c, err = b.LoginCredentials(t.Context(), c, "ada")
			require.NoError(t, err)
			info, err := b.Info(t.Context(), c.SessionID)
			require.NoError(t, err)
			require.Equal(t, want.addr, info.Addr)
			require.Equal(t, want.agent, info.UserAgent)
		}
	}
}

// Concurrent creations keep the limit.
func TestConcurrentCreatesKeepTheLimit(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{MaxSessionsPerUser: 2, MaxSessionsPerClient: 3})
	client := create(t, a.Bridge, bridge.NewSession{}).ClientID
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 10 {
				if _, err := a.Create(t.Context(), bridge.NewSession{UserID: "ada", ClientID: client}); err != nil {
					t.Error(err)
				}
				if _, err := a.Create(t.Context(), bridge.NewSession{ClientID: client}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	n := 0
	for _, err := range a.Sessions(t.Context(), bridge.Filter{UserID: "ada"}) {
		require.NoError(t, err)
		n++
	}
	require.LessOrEqual(t, n, 2)
	n = 0
	for info, err := range a.Sessions(t.Context(), bridge.Filter{ClientID: client}) {
		require.NoError(t, err)
		if info.UserID == "" {
			n++
		}
	}
	require.LessOrEqual(t, n, 3)
}

// A login twice doesn't shorten the lifetime that KeepLifetimeAtLogin keeps.
func TestKeepLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := testkit.NewBridge(t, livestore.New(), &bridge.Options{KeepLifetimeAtLogin: true, Lifetime: time.Hour})
		c := create(t, b, bridge.NewSession{})
		was, err := b.Info(t.Context(), c.SessionID)
		require.NoError(t, err)
		end := was.Created.Add(was.Lifetime)
		time.Sleep(10 * time.Minute)
		first, err := b.LoginCredentials(t.Context(), c, "ada")
		require.NoError(t, err)
		time.Sleep(5 * time.Second)
		again, err := b.LoginCredentials(t.Context(), c, "ada")
		require.NoError(t, err)
		require.Equal(t, first.SessionID, again.SessionID)
		time.Sleep(10 * time.Minute)
		_, err = b.LoginCredentials(t.Context(), again, "ada")
		require.NoError(t, err)
		info, err := b.Info(t.Context(), c.SessionID)
		require.NoError(t, err)
		require.WithinDuration(t, end, info.Expires, time.Millisecond)
		time.Sleep(time.Until(end) + time.Second)
		_, err = b.Info(t.Context(), c.SessionID)
		require.ErrorIs(t, err, bridge.ErrSessionMissing)
	})
}

// A hook that destroys the session whose credentials are being rotated.
func TestRotateCredentialsOfASessionThatTheHookDestroys(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), &bridge.Options{
		BeforeCommit: func(_ context.Context, s *bridge.Session) error {
			if !s.IsNew() {
				s.Destroy()
			}
			return nil
		},
	})
	c := create(t, b, bridge.NewSession{})
	_, err := b.RotateCredentials(t.Context(), c)
	require.ErrorIs(t, err, bridge.ErrSessionGone)
	_, err = b.LoginCredentials(t.Context(), create(t, b, bridge.NewSession{}), "ada")
	require.ErrorIs(t, err, bridge.ErrSessionGone)
}
