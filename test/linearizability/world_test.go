package linearizability_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

const linSessions = 2 // that the actors of one history share

// linWorld is a server, and the history that its clients have seen.
type linWorld struct {
	t        testing.TB
	b        *bridge.Bridge
	url      string
	client   *http.Client
	troubled bool         // the store may fail
	clock    atomic.Int64 // logical: each reading is a later moment
	fresh    atomic.Int64 // the last value that was written
	opened   sync.Map     // operation → when its session was open, in the handler
	actors   sync.WaitGroup

	sessions [linSessions]linSession
}

// linSession has the tokens and events of one session.
type linSession struct {
	id     string
	mu     sync.Mutex
	events []porcupine.Operation
	labels uint8     // given out so far
	newest linCookie // of those that an actor has received
}

// linCookie is the cookie that a browser presents.
type linCookie struct {
	header  string
	label   uint8
	rotated bool // the token came from Rotate
}

// linView is the answer of an operation.
type linView struct {
	Word string // "ok", or what linWord says
	ID   string
	linValues
}

var errLinMissing = errors.New("there is no session")

// linWord names the outcomes that the model knows.
func linWord(err error) string {
	for word, target := range map[string]error{
		"missing":     errLinMissing,
		"no session":  bridge.ErrSessionMissing,
		"gone":        bridge.ErrSessionGone,
		"rotated":     bridge.ErrTokenRotated,
		"conflict":    bridge.ErrConflict,
		"unavailable": bridge.ErrStoreUnavailable,
	} {
		if errors.Is(err, target) {
			return word
		}
	}
	return "unexpected: " + err.Error()
}

var linKeyA, linKeyB = bridge.NewKey[int]("a"), bridge.NewKey[int]("b")

func linViewOf(s *bridge.Session) linView {
	v := linView{Word: "ok", ID: s.ID()}
	v.N, _ = testkit.Count.Get(s)
	v.A, _ = linKeyA.Get(s)
	v.B, _ = linKeyB.Get(s)
	v.User = s.UserID()
	return v
}

// record adds an event that took effect between two moments.
func (w *linWorld) record(session, actor int, from, to int64, e linEvent) {
	s := &w.sessions[session]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, porcupine.Operation{ClientId: actor, Input: e, Call: from, Return: to})
}

// mark records when the operation had its session.
func (w *linWorld) mark(op string) { w.opened.LoadOrStore(op, w.clock.Add(1)) }

// newLinWorld starts a server with sessions that have just been created.
func newLinWorld(t testing.TB, b *bridge.Bridge, start func(testing.TB, http.Handler) *webclient.Site) *linWorld {
	w := &linWorld{t: t, b: b}
	mux := http.NewServeMux()
	mux.HandleFunc("/", w.page)
	mux.Handle("/socket", b.WebSocket(w.talk, nil))
	s := start(t, b.Handler(mux))
	transport := &http.Transport{DialContext: s.Dial, MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	w.url, w.client = s.URL, &http.Client{Transport: transport}
	for i := range w.sessions {
		res, err := w.client.Get(s.URL + "/?do=create")
		require.NoError(t, err)
		var v linView
		require.NoError(t, json.NewDecoder(res.Body).Decode(&v))
		require.NoError(t, res.Body.Close())
		cookies, set := linCookies(res)
		require.True(t, set)
		w.sessions[i].id, w.sessions[i].labels = v.ID, 1
		w.sessions[i].newest = linCookie{header: cookies, label: 1}
	}
	return w
}

// linCookies returns the cookies of an answer, and whether the session's is among them, or is
// removed.
func linCookies(res *http.Response) (header string, set bool) {
	for _, c := range res.Cookies() {
		if c.MaxAge < 0 {
			continue
		}
		set = set || c.Name == "sid"
		header += c.Name + "=" + c.Value + "; "
	}
	return header, set
}

// page is one operation over HTTP.
func (w *linWorld) page(rw http.ResponseWriter, r *http.Request) {
	v, err := w.serve(r)
	if err != nil {
		v = linView{Word: linWord(err)}
		rw.WriteHeader(bridge.HTTPStatus(err))
	}
	if err := json.NewEncoder(rw).Encode(v); err != nil && strings.HasPrefix(linWord(err), "unexpected") { // otherwise the client has it
		w.t.Error(err)
	}
}

func (w *linWorld) serve(r *http.Request) (v linView, err error) {
	op := r.FormValue("op")
	switch r.FormValue("do") {
	case "increment", "look":
		err = w.b.WithSession(r, func(ctx context.Context, s *bridge.Session) error {
			if err := s.Err(); err != nil {
				return err
			}
			w.mark(op)
			return w.work(ctx, s, r.FormValue("do"), &v)
		}, bridge.MissingErr(errLinMissing))
		return v, err
	}
	s, err := w.b.Session(r)
	if err == nil {
		err = s.Err()
	}
	if err != nil {
		return v, err
	}
	v = linViewOf(s)
	if r.FormValue("do") == "create" {
		s.SetIdleTimeout(bridge.Off) // so that there is something to store
		return v, nil
	}
	if s.IsNew() {
		return v, errLinMissing
	}
	w.mark(op)
	switch r.FormValue("do") {
	case "read":
	case "write":
		for _, key := range []string{"a", "b"} {
			if n, err := strconv.Atoi(r.FormValue(key)); err == nil && n != 0 {
				s.Set(key, n)
			}
		}
	case "login":
		err = s.Login(r.FormValue("user"))
	case "rotate":
		err = s.Rotate()
	case "logout":
		s.Logout()
	}
	return v, err
}

// work does the operations that HTTP and sockets share.
func (w *linWorld) work(ctx context.Context, s *bridge.Session, do string, v *linView) error {
	switch do {
	case "increment":
		if _, err := testkit.Increment(ctx, s); err != nil {
			return err
		}
	case "destroy":
		s.Destroy()
	}
	*v = linViewOf(s)
	return nil
}

// linAsk is an operation over a socket.
type linAsk struct{ Do, Op string }

// talk is the server's end of a socket.
func (w *linWorld) talk(ctx context.Context, c *bridge.Conn) error {
	if err := c.WriteJSON(ctx, linView{Word: "hello", ID: c.SessionID()}); err != nil {
		return err
	}
	for {
		var ask linAsk
		if err := c.ReadJSON(ctx, &ask); err != nil {
			return err
		}
		v, err := bridge.WithSession(ctx, c, func(ctx context.Context, s *bridge.Session) (v linView, err error) {
			w.mark(ask.Op)
			err = w.work(ctx, s, ask.Do, &v)
			return v, err
		}, nil)
		if err != nil {
			v = linView{Word: linWord(err)}
		}
		if err := c.WriteJSON(ctx, v); err != nil {
			return err
		}
	}
}
