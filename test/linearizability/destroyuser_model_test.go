package linearizability_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testhub"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// usersState is the user of each session of a history: usersAbsent before it is created, usersOver
// after its end.
type usersState [12]byte

const (
	usersAbsent = 0
	usersOver   = 1
	usersNobody = 2
	usersAda    = 3
	usersBob    = 4
	usersAll    = 9 // in a destroy
)

func usersName(user byte) string { return map[byte]string{usersAda: "ada", usersBob: "bob"}[user] }

// usersEvent is an operation that took effect at one moment.
type usersEvent struct {
	kind    string // "login", "create", "gone", "destroy", "is"
	session int
	user    byte
	count   int // of a destroy; -1: not checked
}

// apply returns the state after e, or false when e can't have happened in s.
func (s usersState) apply(e usersEvent) (usersState, bool) {
	switch e.kind {
	case "create": // also with a login
		if s[e.session] != usersAbsent {
			return s, false
		}
		s[e.session] = e.user
	case "login":
		if s[e.session] <= usersOver {
			return s, false
		}
		s[e.session] = e.user
	case "gone":
		return s, s[e.session] == usersOver
	case "is":
		return s, s[e.session] == e.user
	case "destroy":
		n := 0
		for i, user := range s {
			if user > usersOver && (user == e.user || e.user == usersAll) {
				s[i] = usersOver
				n++
			}
		}
		return s, e.count < 0 || n == e.count
	}
	return s, true
}

func usersModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return usersState{} },
		Step: func(state, input, _ any) (bool, any) {
			next, ok := state.(usersState).apply(input.(usersEvent))
			return ok, next
		},
	}
}

// usersWorld is one history of servers that share a store.
type usersWorld struct {
	t     *testing.T
	nodes []usersNode
	clock atomic.Int64

	mu       sync.Mutex
	events   []porcupine.Operation
	sessions map[string]int
	actors   sync.WaitGroup
}

// usersNode is one of the servers.
type usersNode struct {
	b   *bridge.Bridge
	app http.Handler
}

func newUsersWorld(t *testing.T, st store.Store, nodes int) *usersWorld {
	w := &usersWorld{t: t, sessions: map[string]int{}}
	for range nodes {
		w.nodes = append(w.nodes, newUsersNode(t, st))
	}
	return w
}

// any returns one of the servers.
func (w *usersWorld) any() usersNode { return w.nodes[rand.IntN(len(w.nodes))] }

func newUsersNode(t *testing.T, st store.Store) usersNode {
	b := testkit.NewBridge(t, st, &bridge.Options{Keys: [][]byte{bytes.Repeat([]byte("k"), 32)}})
	mux := http.NewServeMux()
	mux.HandleFunc("/create", testkit.SessionPage(b, func(s *bridge.Session) (any, error) { testkit.Count.Set(s, 1); return s.ID(), nil }))
	mux.HandleFunc("/merge", func(rw http.ResponseWriter, r *http.Request) {
		testkit.SessionPage(b, func(s *bridge.Session) (any, error) { return s.ID(), s.Login(r.URL.Query().Get("user")) })(rw, r)
	})
	mux.HandleFunc("/exact", testkit.Page(func(r *http.Request) (any, error) {
		return bridge.WithSession(r.Context(), b.For(r), func(_ context.Context, s *bridge.Session) (string, error) {
			return s.ID(), s.Login(r.URL.Query().Get("user"))
		}, nil)
	}))
	return usersNode{b, b.Handler(mux)}
}

func (w *usersWorld) record(from int64, e usersEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, porcupine.Operation{ClientId: len(w.events), Input: e, Call: from, Return: w.clock.Add(1)})
}

// session returns the number of a session, and gives it one the first time.
func (w *usersWorld) session(id string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, known := w.sessions[id]
	if !known {
		n = len(w.sessions)
		w.sessions[id] = n
	}
	return n
}

// ask sends a request that creates a session, or logs in with the pocket's, and records the
// outcome. had is the pocket's session, "" for none.
func (w *usersWorld) ask(p webclient.Pocket, had, path string, user byte) (id string) {
	from := w.clock.Add(1)
	answer := p.Send(w.any().app, webclient.Request(w.t, path+"?user="+usersName(user)))
	switch id = answer.Body.String(); {
	case answer.Code == http.StatusOK && id == had:
		n := w.session(id)
		w.record(from, usersEvent{kind: "login", session: n, user: user})
	case answer.Code == http.StatusOK:
		n := w.session(id)
		w.record(from, usersEvent{kind: "create", session: n, user: user})
		if had != "" { // it had ended
			n = w.session(had)
			w.record(from, usersEvent{kind: "gone", session: n})
		}
	case answer.Code == http.StatusConflict: // another has logged in with it meanwhile
		id = ""
	case had != "" && (answer.Code == http.StatusServiceUnavailable || answer.Code == http.StatusUnauthorized):
		n := w.session(had)
		w.record(from, usersEvent{kind: "gone", session: n})
		id = ""
	default:
		w.t.Errorf("%s: unexpected answer %d: %s", path, answer.Code, id)
	}
	return id
}

// destroy ends the user's sessions. alone: no other caller ends any of them, so that the number is
// known.
func (w *usersWorld) destroy(user byte, alone bool) {
	from := w.clock.Add(1)
	var n int
	var err error
	if user == usersAll {
		n, err = w.any().b.DestroyAll(w.t.Context())
	} else {
		n, err = w.any().b.DestroyUser(w.t.Context(), usersName(user))
	}
	if err != nil {
		w.t.Errorf("destroy: %v", err)
	}
	if !alone {
		n = -1
	}
	w.record(from, usersEvent{kind: "destroy", user: user, count: n})
}

// requireLinearizable reads the sessions at the end, and checks the history.
func (w *usersWorld) requireLinearizable() {
	w.t.Helper()
	for id, n := range w.sessions {
		from, user := w.clock.Add(1), byte(usersOver)
		if testkit.SessionExists(w.t, w.nodes[0].b, id) {
			s, err := w.nodes[0].b.GetByID(w.t.Context(), id)
			require.NoError(w.t, err)
			user = map[string]byte{"": usersNobody, "ada": usersAda, "bob": usersBob}[s.UserID()]
		}
		w.record(from, usersEvent{kind: "is", session: n, user: user})
	}
	if !porcupine.CheckOperations(usersModel(), w.events) {
		var story strings.Builder
		for _, op := range w.events {
			fmt.Fprintf(&story, "  %4d–%-4d %+v\n", op.Call, op.Return, op.Input)
		}
		w.t.Errorf("not linearizable:\n%s", story.String())
	}
}

// run creates sessions, logs ada and bob in to them and switches their users, concurrently, while
// the sessions of a user, or all, are destroyed.
func (w *usersWorld) run(random *rand.Rand) {
	type known struct {
		p  webclient.Pocket
		id string
	}
	var old []known
	for _, user := range []byte{usersAda, usersAda, usersBob, usersNobody} {
		p, path := webclient.Pocket{}, "/merge"
		if user == usersNobody {
			path = "/create"
		}
		old = append(old, known{p, w.ask(p, "", path, user)})
	}
	victims := []byte{usersAda}
	switch random.IntN(4) {
	case 0:
		victims = []byte{usersAda, usersAda}
	case 1:
		victims = []byte{usersAda, usersBob}
	case 2:
		if len(w.nodes) == 1 { // it is complete within a process
			victims = []byte{usersAll}
		}
	}
	alone := len(victims) == 1 || victims[0] != victims[1]
	start := make(chan struct{})
	act := func(do func()) {
		yields := random.IntN(8)
		w.actors.Go(func() {
			<-start
			for range yields {
				runtime.Gosched()
			}
			do()
		})
	}
	for _, victim := range victims {
		act(func() { w.destroy(victim, alone) })
	}
	path := func() string { return []string{"/merge", "/exact"}[random.IntN(2)] }
	for i, k := range old {
		first, second := path(), path()
		user := []byte{usersAda, usersBob, usersAda, usersAda}[i] // the same user, to another, from another, from none
		act(func() {
			if id := w.ask(k.p, k.id, first, user); id != "" {
				w.ask(k.p, id, second, usersAda+usersBob-user)
			}
		})
	}
	for range 3 {
		first := path()
		act(func() { w.ask(webclient.Pocket{}, "", first, usersAda) })
	}
	close(start)
	w.actors.Wait()
}

// TestLinearizabilityDestroyUser: for all logins while a user's sessions are ended, the answers and
// the final state are as if the operations had run one at a time in some order: a login's session
// is ended, or the login comes after.
func TestLinearizabilityDestroyUser(t *testing.T) {
	t.Parallel()
	seed := linSeed(t)
	for i := range 300 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			w := newUsersWorld(t, teststore.Shaken{Store: livestore.New()}, 1)
			w.run(rand.New(rand.NewPCG(seed, uint64(i))))
			w.requireLinearizable()
		})
	}
}

// TestLinearizabilityDestroyUserOfNodes: the same with logins at three nodes, and the user's
// sessions ended at any of them.
func TestLinearizabilityDestroyUserOfNodes(t *testing.T) {
	t.Parallel()
	seed := linSeed(t)
	for i := range 100 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			h := testhub.New()
			h.Shaken = true
			w := newUsersWorld(t, h, 3)
			w.run(rand.New(rand.NewPCG(seed, uint64(i))))
			w.requireLinearizable()
		})
	}
}
