package opening_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/clientmap"
	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/opening"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

const (
	ann = "0e984725-c51c-4bf4-9960-e1c80e27aba0" // a client
	bob = "1b4e28ba-2fa1-41d2-883f-0016d3cca427" // another one
	one = "6ba7b810-9dad-41d1-80b4-00c04fd430c1" // a session
	two = "6ba7b810-9dad-41d1-80b4-00c04fd430c2" // another one
)

var grace = credentials.Grace{Rotate: 10 * time.Second, Renew: time.Hour}

// world is a store with an Opener, and the calls of the Opener.
type world struct {
	t       *testing.T
	store   *flaky
	clients *clientmap.Map
	gateway *gateway.Gateway
	codec   *credentials.Codec
	*opening.Opener

	overtakes  func(clientID, sessionID string) bool
	attachErr  error
	direct     bool // what Attach was called with last
	missing    []string
	mismatched []string // the clients that requests were taken for
	ended      []string
}

// flaky is a store that can fail.
type flaky struct {
	*livestore.Store
	err error
}

func (f *flaky) Get(ctx context.Context, id string) (store.Record, error) {
	if f.err != nil {
		return store.Record{}, f.err
	}
	return f.Store.Get(ctx, id)
}

func (f *flaky) Set(ctx context.Context, rec store.Record) (uint64, error) {
	if f.err != nil {
		return 0, f.err
	}
	return f.Store.Set(ctx, rec)
}

func newWorld(t *testing.T, change func(*opening.Config)) *world {
	t.Helper()
	key := bytes.Repeat([]byte("k"), 32)
	w := &world{t: t, store: &flaky{Store: livestore.New()}}
	w.overtakes = func(string, string) bool { return true }
	w.clients = clientmap.New(0, func(string) bool { return false })
	w.gateway = gateway.New(w.store, gateway.Config{
		TouchInterval: time.Minute,
		StoreTimeout:  time.Minute,
		Committed:     func(gateway.Commit) {},
		Ended:         func(e gateway.End) { w.ended = append(w.ended, e.ID); w.Ended(e.ID) },
		Reason:        func(any) string { return "" },
		Watched:       func() bool { return false },
		Doubted:       func(string) {},
		Failed:        func(context.Context, string, string, error) {},
	})
	w.codec = credentials.NewCodec(credentials.Config{
		Keys: [][]byte{key}, Name: "sid", ClientName: "sid.cid", Path: "/", SameSite: http.SameSiteLaxMode,
		ClientMaxAge: 365 * 24 * time.Hour, TokenFrom: credentials.TokenFromHeader("X-Token"),
	})
	cfg := opening.Config{
		Gateway:    w.gateway,
		Codec:      w.codec,
		Grace:      grace,
		Successors: credentials.NewSuccessors([][]byte{key}),
		SessionOf:  w.clients.SessionOf,
		ClientOf:   w.clients.ClientOf,
		Overtakes:  func(client string, login *store.Record) bool { return w.overtakes(client, login.ID) },
		Attach:     func(_ context.Context, _ *store.Record, direct bool) error { w.direct = direct; return w.attachErr },
		Missing:    func(_ context.Context, id string) { w.missing = append(w.missing, id) },
		Mismatched: func(_ context.Context, _ *store.Record, client string) {
			w.mismatched = append(w.mismatched, client)
		},
	}
	if change != nil {
		change(&cfg)
	}
	w.Opener = opening.New(cfg)
	return w
}

// token returns a token that belongs to n.
func token(n byte) (t credentials.Token) { t[0] = n; return t }

// put stores a session of ann with token 1, as change leaves it.
func (w *world) put(id string, change func(*store.Record)) store.Record {
	w.t.Helper()
	now := gateway.Now()
	rec := store.Record{
		ID: id, ClientID: ann, TokenHash: token(1).Hash(), TokenGeneration: 1, Data: []byte(`{"k":1}`),
		Created: now, Seen: now,
	}
	if change != nil {
		change(&rec)
	}
	var err error
	rec.Revision, err = w.store.Set(w.t.Context(), rec)
	require.NoError(w.t, err)
	w.clients.Attach(rec.ClientID, rec.ID, true)
	return rec
}

// stored returns the session as it is stored.
func (w *world) stored(id string) store.Record {
	w.t.Helper()
	rec, err := w.store.Get(w.t.Context(), id)
	require.NoError(w.t, err)
	return rec
}

// replaced makes token 2 the current one, and token 1 the previous one.
func replaced(rec *store.Record) {
	rec.PrevTokenHash, rec.TokenHash = token(1).Hash(), token(2).Hash()
	rec.TokenGeneration, rec.RotatedAt = 2, gateway.Now()
}

// byRenewal is replaced by a renewal, byLogin by a login of the user.
func byRenewal(rec *store.Record) { replaced(rec); rec.Renewal = store.RenewalSent }

func byLogin(rec *store.Record) {
	replaced(rec)
	rec.LoginGeneration, rec.UserID, rec.LoggedIn = 2, "user", rec.RotatedAt
}

// cookies returns the cookies of a session with the token and of a client.
func (w *world) cookies(id string, t credentials.Token, client string) (session, cid *http.Cookie) {
	w.t.Helper()
	var p credentials.Presented
	w.codec.Read(&p, plain(), false)
	var a credentials.Answer
	a.Begin(&p)
	a.NewClient(client)
	a.SetSession(credentials.Session{ID: id, Token: t}, time.Hour)
	h := make(http.Header)
	_, err := a.WriteTo(h, credentials.Response{})
	require.NoError(w.t, err)
	cookies := (&http.Response{Header: h}).Cookies()
	require.Len(w.t, cookies, 2)
	return cookies[0], cookies[1]
}

func plain(cookies ...*http.Cookie) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://example.com/", http.NoBody)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

// begin begins the request of a browser with these cookies.
func (w *world) begin(cookies ...*http.Cookie) *opening.Exchange {
	x := &opening.Exchange{}
	w.Begin(x, plain(cookies...), false)
	return x
}

// browser begins the request of ann's browser, with the token of a session.
func (w *world) browser(id string, t credentials.Token) *opening.Exchange {
	w.t.Helper()
	return w.begin(pair(w.cookies(id, t, ann))...)
}

func pair(session, cid *http.Cookie) []*http.Cookie { return []*http.Cookie{session, cid} }

// open opens the session, and returns its Proof and its Draft.
func (w *world) open(x *opening.Exchange) (*opening.Opened, *opening.Proof, *gateway.Draft) {
	w.t.Helper()
	o, err := x.Open(w.t.Context(), false, nil)
	require.NoError(w.t, err)
	require.NotEqual(w.t, opening.None, o.Standing)
	d, err := gateway.NewDraft(*o.Record)
	require.NoError(w.t, err)
	p := new(opening.Proof)
	err = w.Prove(p, o, d)
	require.NoError(w.t, err)
	return o, p, d
}

// store stores the draft, and returns the cookie that the client gets for it.
func (w *world) commit(p *opening.Proof, d *gateway.Draft) (c opening.Cookie, ok bool, err error) {
	issues := p.Issues()
	if err = w.gateway.Commit(w.t.Context(), d, nil); err == nil {
		c, ok = p.Stored(issues)
	}
	return c, ok, err
}
