package guarantees_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// otherKey returns the device with another key.
func otherKey(t *testing.T, d *webclient.Device) *webclient.Device {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	other := *d
	other.Key = key
	return &other
}

func TestG13_OnlyTheKeyOfTheSessionProves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		br, d := a.bound(t)
		time.Sleep(deviceLife)
		challenge := d.ReadChallenge(d.TryRefresh(""))
		none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"dbsc+jwt"}`)) + "." +
			base64.RawURLEncoding.EncodeToString([]byte(`{"jti":"`+challenge+`"}`)) + "."
		for name, jwt := range map[string]string{
			"another key":      otherKey(t, d).Proof(challenge, false),
			"alg none":         none,
			"a key of its own": d.Proof(challenge, true),
			"another type":     d.Sign(challenge, &jose.SignerOptions{}, "JWT"),
			"no JWT":           "x",
		} {
			rep := d.TryRefresh(jwt)
			require.Equal(t, http.StatusBadRequest, rep.Status, name)
			require.Empty(t, rep.Header.Values("Set-Cookie"), name)
			require.Empty(t, br.OK("/user"), name)
		}
		unknown := *d
		unknown.ID = "6f1f6dd2-5d12-4c1c-8a4c-1d3c1f5f6a10"
		rep := unknown.TryRefresh(d.Proof(challenge, false))
		require.Equal(t, http.StatusOK, rep.Status)
		require.Contains(t, rep.Body, `"continue":false`)
		unknown.ID = "no session"
		require.Equal(t, http.StatusBadRequest, unknown.TryRefresh("").Status)

		require.Equal(t, http.StatusOK, d.TryRefresh(d.Proof(challenge, false)).Status, "none of them has used it up")
		require.Equal(t, "ann", br.OK("/user"))
	})
}

func TestG13_AChallengeOfAnotherSessionProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		_, d := a.bound(t)
		_, other := a.bound(t)
		rep := d.TryRefresh(d.Proof(other.ReadChallenge(other.TryRefresh("")), false))
		require.Equal(t, http.StatusForbidden, rep.Status)
		require.NotEmpty(t, d.ReadChallenge(rep), "the browser tries again with this one")
		require.Empty(t, rep.Header.Values("Set-Cookie"))
		rep = d.TryRefresh(d.Proof(d.Offer.Challenge, false))
		require.Equal(t, http.StatusForbidden, rep.Status, "that of the registration")
	})
}

func TestG13_HeadersMayBeQuoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		br := webclient.NewSecureBrowser(t, a.site)
		d := br.NewDevice(br.Get("/login?user=ann").Header)
		rep := br.Post(d.Offer.Path, "Secure-Session-Response", `"`+d.Proof(d.Offer.Challenge, true)+`"`)
		require.Equal(t, http.StatusOK, rep.Status)
		id := br.OK("/id")
		rep = br.Post("/session-device/refresh", "Sec-Secure-Session-Id", `"`+id+`"`)
		require.Equal(t, http.StatusForbidden, rep.Status)
		d.ID = id
		rep = br.Post("/session-device/refresh", "Sec-Secure-Session-Id", `"`+id+`"`,
			"Secure-Session-Response", `"`+d.Proof(d.ReadChallenge(rep), false)+`"`)
		require.Equal(t, http.StatusOK, rep.Status)
	})
}

// The answer to a refresh may be lost: the same proof gets the same cookie, and no longer one.
func TestG13_ALostRefreshIsAnsweredAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		br, d := a.bound(t)
		challenge := d.ReadChallenge(d.TryRefresh(""))
		proof := d.Proof(challenge, false)
		require.Equal(t, http.StatusOK, d.TryRefresh(proof).Status)
		lost := br.Cookie(d.CookieName)
		start := time.Now()
		time.Sleep(30 * time.Second)
		rep := d.TryRefresh(proof)
		require.Equal(t, http.StatusOK, rep.Status)
		require.Equal(t, lost, br.Cookie(d.CookieName), "of the same time")
		thief := br.Another()
		next := d.ReadChallenge(rep)
		require.Equal(t, http.StatusOK, d.TryRefresh(d.Proof(next, false)).Status, "the next refresh takes one request")

		rep = d.TryRefresh(proof)
		require.Equal(t, http.StatusForbidden, rep.Status, "only the last proof")
		require.Empty(t, rep.Header.Values("Set-Cookie"))
		proof = d.Proof(d.ReadChallenge(rep), false)
		require.Equal(t, http.StatusOK, d.TryRefresh(proof).Status)
		time.Sleep(time.Minute)
		rep = d.TryRefresh(proof)
		require.Equal(t, http.StatusForbidden, rep.Status, "and only for a minute")
		require.NotEmpty(t, d.ReadChallenge(rep))

		time.Sleep(time.Until(start.Add(deviceLife)))
		require.Equal(t, "device", thief.OK("/missing"))
		require.Equal(t, "ann", br.OK("/user"))
	})
}

func TestG13_ConcurrentRefreshesLeadToOneCookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		br, d := a.bound(t)
		challenge := d.ReadChallenge(d.TryRefresh(""))
		replies := make([]webclient.Reply, 8)
		var all sync.WaitGroup
		for i := range replies { // each tab with a signature of its own
			proof := d.Proof(challenge, false)
			all.Go(func() { replies[i] = d.TryRefresh(proof) })
		}
		all.Wait()
		cookies := make(map[string]bool)
		for _, rep := range replies {
			require.Equal(t, http.StatusOK, rep.Status)
			cookies[rep.Header.Get("Set-Cookie")] = true
		}
		require.Len(t, cookies, 1)
		require.Equal(t, "ann", br.OK("/user"))
	})
}

var errAway = errors.New("the store is away")

func TestG13_AStoreOutageEndsNoBinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, &bridge.Options{
			Keys: [][]byte{testkit.Key()}, Secure: bridge.SecureAlways, DeviceBound: &bridge.DeviceBound{},
		})
		br := webclient.NewSecureBrowser(t, a.ServeInMemory(t))
		login := br.Get("/login?user=ann")
		d := br.NewDevice(login.Header)
		st.Always(teststore.Refuse(errAway), "Get", "Set")
		require.Equal(t, http.StatusServiceUnavailable, d.TryRegister().Status)
		st.Heal()
		require.Equal(t, http.StatusOK, d.TryRegister().Status, "a registration that wasn't stored isn't used up")
		st.Always(teststore.Refuse(errAway), "Get", "Set")
		rep := d.TryRefresh("")
		require.Equal(t, http.StatusServiceUnavailable, rep.Status)
		require.Empty(t, rep.Header.Values("Set-Cookie"))
		st.Heal()
		d.Fresh()
	})
}

func TestG13_RSAKeysAreForThoseWhoWantThem(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	for _, c := range []struct {
		rs256   bool
		offered string
		status  int
	}{
		{false, "ES256", http.StatusBadRequest},
		{true, "ES256 RS256", http.StatusOK},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := testkit.NewApp(t, livestore.New(), &bridge.Options{
				Keys: [][]byte{testkit.Key()}, Secure: bridge.SecureAlways,
				DeviceBound: &bridge.DeviceBound{RS256: c.rs256},
			})
			br := webclient.NewSecureBrowser(t, a.ServeInMemory(t))
			d := br.NewDevice(br.Get("/login?user=ann").Header)
			require.Equal(t, c.offered, d.Offer.Algorithms)
			d.Key, d.Alg = key, jose.RS256
			require.Equal(t, c.status, d.TryRegister().Status)
			if c.rs256 {
				d.Fresh()
			}
		})
	}
}
