package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/admin/webhook"
	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testmain"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestMain(m *testing.M) { testmain.Run(m) }

const receiverURL = "https://hooks.test/in?key=secret-in-the-url"

// receiver is an Endpoint without a network. It answers as told, otherwise with 204.
type receiver struct {
	mu      sync.Mutex
	got     []delivery
	answers []func(*http.Request) (*http.Response, error) // of the next requests
	atOnce  int                                           // requests under way
	most    int
}

type delivery struct {
	id, kind, user string
	at             time.Time
	header         http.Header
	body           []byte
}

func (v *receiver) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var ev struct {
		Type string
		Data struct{ User string }
	}
	if err := json.Unmarshal(body, &ev); err != nil {
		return nil, err
	}
	v.mu.Lock()
	v.got = append(v.got, delivery{r.Header.Get("Webhook-Id"), ev.Type, ev.Data.User, time.Now(), r.Header, body})
	v.atOnce++
	v.most = max(v.most, v.atOnce)
	answer := status(http.StatusNoContent)
	if len(v.answers) > 0 {
		answer, v.answers = v.answers[0], v.answers[1:]
	}
	v.mu.Unlock()
	res, err := answer(r)
	v.mu.Lock()
	v.atOnce--
	v.mu.Unlock()
	return res, err
}

func (v *receiver) deliveries() []delivery {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.got)
}

func (v *receiver) then(answers ...func(*http.Request) (*http.Response, error)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answers = append(v.answers, answers...)
}

func status(code int, header ...string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		res := &http.Response{
			StatusCode: code, Status: fmt.Sprint(code, " ", http.StatusText(code)), Request: r,
			Header: http.Header{}, Body: io.NopCloser(strings.NewReader("")),
		}
		for i := 0; i < len(header); i += 2 {
			res.Header.Set(header[i], header[i+1])
		}
		return res, nil
	}
}

func broken(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }

// silent never answers.
func silent(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, context.Cause(r.Context())
}

// site is a Bridge whose events a Sender sends to a receiver.
type site struct {
	t *testing.T
	*receiver
	bridge *bridge.Bridge
	sender *webhook.Sender
	log    bytes.Buffer

	mu   sync.Mutex
	dead []webhook.DeadLetter
}

func newSite(t *testing.T, e webhook.Endpoint, o webhook.Options) *site {
	t.Helper()
	b, err := bridge.New(livestore.New(), nil)
	require.NoError(t, err)
	s := &site{t: t, receiver: &receiver{}, bridge: b}
	if e.URL == "" {
		e.URL = receiverURL
	}
	if e.Secret == "" {
		e.Secret = webhook.NewSecret()
	}
	o.Client = &http.Client{Transport: s.receiver}
	o.Logger = slog.New(slog.NewTextHandler(&s.log, nil))
	if o.DeadLetter == nil {
		o.DeadLetter = func(d webhook.DeadLetter) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.dead = append(s.dead, d)
		}
	}
	s.sender, err = webhook.Start(b, []webhook.Endpoint{e}, &o)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		cancel()
		s.sender.Close(ctx)
		require.NoError(t, b.Shutdown(context.WithoutCancel(t.Context())))
	})
	return s
}

// create makes a session of each user.
func (s *site) create(users ...string) {
	s.t.Helper()
	for _, user := range users {
		_, err := s.bridge.Create(s.t.Context(), bridge.NewSession{UserID: user})
		require.NoError(s.t, err)
	}
	synctest.Wait()
}

func (s *site) deadLetters() []webhook.DeadLetter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.dead)
}

func TestEventsAreSentSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
		s := newSite(t, webhook.Endpoint{Secret: secret}, webhook.Options{})
		began := time.Now()
		time.Sleep(time.Second)
		s.create("ada")
		require.Len(t, s.deliveries(), 1)
		d := s.deliveries()[0]
		require.Equal(t, "session.set", d.kind)
		require.Equal(t, "ada", d.user)
		require.Regexp(t, `^msg_[A-Z2-7]{26}$`, d.id)
		require.Equal(t, "application/json", d.header.Get("Content-Type"))
		require.Equal(t, fmt.Sprint(began.Add(time.Second).Unix()), d.header.Get("Webhook-Timestamp"))
		require.Equal(t, signature(t, secret, d), d.header.Get("Webhook-Signature"))
		_, err := s.bridge.DestroyUser(t.Context(), "ada")
		require.NoError(t, err)
		synctest.Wait()
		require.Len(t, s.deliveries(), 2)
		require.Equal(t, "session.destroy", s.deliveries()[1].kind)
		require.NotEqual(t, d.id, s.deliveries()[1].id)
		require.Empty(t, s.deadLetters())
		require.Empty(t, s.log.String())
	})
}

func TestAnEndpointGetsTheTypesThatItWants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reject := func(s *site) {
			_, err := s.bridge.Open(t.Context(), bridge.Credentials{Token: "forged"})
			require.Error(t, err)
			synctest.Wait()
		}
		s := newSite(t, webhook.Endpoint{Types: []string{"session.destroy", "credential.rejected"}}, webhook.Options{})
		s.create("ada")
		reject(s)
		_, err := s.bridge.DestroyUser(t.Context(), "ada")
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, []string{"credential.rejected", "session.destroy"}, kinds(s.deliveries()))

		s = newSite(t, webhook.Endpoint{}, webhook.Options{})
		s.create("ada")
		reject(s)
		require.Equal(t, []string{"session.set"}, kinds(s.deliveries()), "nothing that any client can cause")
	})
}

func kinds(all []delivery) (kinds []string) {
	for _, d := range all {
		kinds = append(kinds, d.kind)
	}
	return kinds
}

// TestFailedEventsAreSentAgain: with the same ID, later and later, until it is given up.
func TestFailedEventsAreSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, webhook.Endpoint{}, webhook.Options{Attempts: 4})
		s.then(status(500), broken, silent, status(302, "Location", "https://other.test/"))
		s.create("ada-lovelace")
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		got := s.deliveries()
		require.Len(t, got, 4, "no redirect was followed")
		for i, longest := range []time.Duration{5 * time.Second, 5 * time.Minute, 30*time.Minute + 15*time.Second} {
			pause := got[i+1].at.Sub(got[i].at)
			require.LessOrEqual(t, pause, longest)
			require.GreaterOrEqual(t, pause, longest/2-15*time.Second)
			require.Equal(t, got[0].id, got[i+1].id)
			require.Equal(t, got[0].body, got[i+1].body)
		}
		require.Len(t, s.deadLetters(), 1)
		d := s.deadLetters()[0]
		require.ErrorContains(t, d.Err, "302 Found")
		d.Err = nil
		require.Equal(t, webhook.DeadLetter{URL: receiverURL, ID: got[0].id, Type: "session.set", Body: got[0].body, Attempts: 4}, d)
		require.Contains(t, s.log.String(), "host=hooks.test")
		require.NotContains(t, s.log.String(), "secret-in-the-url")
		require.NotContains(t, s.log.String(), "lovelace")
	})
}

// TestAFailedEventHoldsUpNoOther: at most four requests run at a time.
func TestAFailedEventHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, webhook.Endpoint{}, webhook.Options{})
		s.then(silent, silent, silent, silent)
		s.create("a", "b", "c", "d", "e")
		require.Len(t, s.deliveries(), 4)
		time.Sleep(15 * time.Second) // the timeout
		synctest.Wait()
		require.Len(t, s.deliveries(), 5)
		require.Equal(t, "e", s.deliveries()[4].user)
		s.receiver.mu.Lock()
		require.Equal(t, 4, s.most)
		s.receiver.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, s.deliveries(), 9)
		require.Empty(t, s.deadLetters())
	})
}

func TestAnEndpointCanAskForAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sets := webhook.Endpoint{Types: []string{"session.set"}}
		inAnHour := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
		for _, c := range []struct {
			header string
			want   time.Duration
		}{{inAnHour, time.Hour}, {"120", 2 * time.Minute}, {"99999", 24 * time.Hour}} {
			header, want := c.header, c.want
			s := newSite(t, sets, webhook.Options{})
			s.then(status(429, "Retry-After", header))
			began := time.Now()
			s.create("ada")
			time.Sleep(want - time.Second - time.Since(began))
			synctest.Wait()
			require.Len(t, s.deliveries(), 1, header)
			time.Sleep(time.Second)
			synctest.Wait()
			require.Len(t, s.deliveries(), 2, header)
		}
		for _, header := range []string{"-1", "soon", "", "99999999999999999999"} {
			s := newSite(t, sets, webhook.Options{})
			s.then(status(503, "Retry-After", header))
			s.create("ada")
			time.Sleep(5 * time.Second)
			synctest.Wait()
			require.Len(t, s.deliveries(), 2, header)
		}
	})
}

// TestQueueIsBounded: what doesn't fit is given up, and nothing waits for a receiver.
func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, webhook.Endpoint{}, webhook.Options{Queue: 6})
		s.then(silent, silent, silent, silent)
		s.create("a", "b", "c", "d", "e", "f", "g", "h")
		dead := s.deadLetters()
		require.Len(t, dead, 2)
		for _, d := range dead {
			require.ErrorIs(t, d.Err, webhook.ErrQueueFull)
			require.Zero(t, d.Attempts)
		}
		require.Contains(t, string(dead[0].Body)+string(dead[1].Body), `"user":"h"`)
		time.Sleep(time.Minute)
		synctest.Wait()
		s.create("i")
		require.Len(t, s.deadLetters(), 2, "there is room again")
	})
}

// TestAnEndpointThatIsGone: the rest is given up.
func TestAnEndpointThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, webhook.Endpoint{}, webhook.Options{})
		s.then(status(500), status(410))
		s.create("a", "b")
		s.create("c")
		require.Len(t, s.deliveries(), 2)
		dead := s.deadLetters()
		require.Len(t, dead, 3)
		for _, d := range dead {
			require.ErrorIs(t, d.Err, webhook.ErrDisabled)
		}
	})
}

// TestCloseSendsWhatWaits: once, at once, in order. What fails then is given up.
func TestCloseSendsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, webhook.Endpoint{}, webhook.Options{})
		s.then(broken, broken, broken, broken, broken)
		s.create("a", "b", "c", "d", "e")
		s.then(broken)
		closed := time.Now()
		s.sender.Close(t.Context())
		require.Equal(t, closed, time.Now())
		require.Len(t, s.deliveries(), 10)
		require.Len(t, s.deadLetters(), 1)
		require.Equal(t, 2, s.deadLetters()[0].Attempts)
		s.create("f")
		require.Len(t, s.deliveries(), 10)
	})
}

func TestCloseEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, webhook.Endpoint{}, webhook.Options{})
		s.then(silent, silent, silent, silent, silent)
		s.create("a", "b", "c", "d", "e", "f")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		closed := time.Now()
		s.sender.Close(ctx)
		require.Equal(t, time.Second, time.Since(closed))
		require.Len(t, s.deadLetters(), 6)
		for _, d := range s.deadLetters() {
			require.ErrorIs(t, d.Err, webhook.ErrClosed)
		}
	})
}

// TestEventsAreSentAfterTheBridgesEnd: those that were taken before.
func TestEventsAreSentAfterTheBridgesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, webhook.Endpoint{}, webhook.Options{})
		s.then(broken)
		s.create("ada")
		require.NoError(t, s.bridge.Shutdown(t.Context()))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.Len(t, s.deliveries(), 2)
		require.Empty(t, s.deadLetters())
	})
}

func TestAPanicOfDeadLetterIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, webhook.Endpoint{}, webhook.Options{Attempts: 1, DeadLetter: func(webhook.DeadLetter) { panic("oh") }})
		s.then(broken)
		s.create("a", "b")
		require.Len(t, s.deliveries(), 2)
		require.Contains(t, s.log.String(), "Options.DeadLetter panicked")
	})
}

// TestAFailedRequestTellsNoURL: net/http's errors contain it, and it may be a secret.
func TestAFailedRequestTellsNoURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, webhook.Endpoint{}, webhook.Options{Attempts: 1})
		s.then(broken)
		s.create("ada")
		require.Len(t, s.deadLetters(), 1)
		require.EqualError(t, s.deadLetters()[0].Err, "connection refused")
		require.Contains(t, s.log.String(), "connection refused")
		require.NotContains(t, s.log.String(), "secret-in-the-url")
	})
}

func TestStartChecksItsInput(t *testing.T) {
	b, err := bridge.New(livestore.New(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Shutdown(context.WithoutCancel(t.Context()))) })
	good := webhook.Endpoint{URL: "https://hooks.test/", Secret: webhook.NewSecret()}
	with := func(change func(*webhook.Endpoint)) webhook.Endpoint { e := good; change(&e); return e }
	for want, e := range map[string]webhook.Endpoint{
		"Endpoints[1].URL is not an absolute URL":                   with(func(e *webhook.Endpoint) { e.URL = "/hooks" }),
		"Endpoints[1].URL is http beyond this machine":              with(func(e *webhook.Endpoint) { e.URL = "http://hooks.test/" }),
		"Endpoints[1].URL is neither http nor https":                with(func(e *webhook.Endpoint) { e.URL = "ftp://hooks.test/" }),
		"Endpoints[1].URL contains a user":                          with(func(e *webhook.Endpoint) { e.URL = "https://ada:pass@hooks.test/" }),
		`Endpoints[1].Types: there is no type "session.created"`:    with(func(e *webhook.Endpoint) { e.Types = []string{"session.created"} }),
		"Endpoints[1].Secret doesn't begin with whsec_":             with(func(e *webhook.Endpoint) { e.Secret = "x" }),
		"Endpoints[1].URL is not an absolute URL: parse, no secret": with(func(e *webhook.Endpoint) { e.URL = "https://%zz/?secret" }),
	} {
		_, err := webhook.Start(b, []webhook.Endpoint{good, e}, nil)
		want, _, _ = strings.Cut(want, ": parse")
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "secret")
		require.NotContains(t, err.Error(), "pass")
	}
	for field, o := range map[string]webhook.Options{"Timeout": {Timeout: -1}, "Attempts": {Attempts: -1}, "Queue": {Queue: -1}} {
		_, err := webhook.Start(b, nil, &o)
		require.EqualError(t, err, "webhook: Options."+field+" is negative")
	}
	for _, url := range []string{"http://localhost:8080/", "http://127.0.0.2/", "http://[::1]/"} {
		s, err := webhook.Start(b, []webhook.Endpoint{with(func(e *webhook.Endpoint) { e.URL = url })}, nil)
		require.NoError(t, err)
		s.Close(t.Context())
	}
}

func TestPrintedEndpointsTellNothing(t *testing.T) {
	e := webhook.Endpoint{URL: receiverURL, Secret: "whsec_secret", Types: []string{"session.set"}}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%v %+v %#v %s %v", e, &e, e, e, []webhook.Endpoint{e})
	slog.New(slog.NewJSONHandler(&out, nil)).Info("an endpoint", slog.Any("value", e))
	require.NotContains(t, out.String(), "secret")
	require.Contains(t, out.String(), "session.set")
}
