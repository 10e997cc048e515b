package bridge_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// loggedIn counts the users who are logged in, each once, in however many sessions. The functions of
// an Observer run one at a time, so that its maps need no lock.
type loggedIn struct {
	userOf   map[string]string // who is logged in to a session
	sessions map[string]int    // how many a user has
	report   func(users int)   // sets the gauge
}

// is notes that the user, "" for nobody, is logged in to the session.
func (o *loggedIn) is(sessionID, userID string) {
	was := o.userOf[sessionID]
	if was == userID {
		return
	}
	delete(o.userOf, sessionID)
	if o.sessions[was]--; o.sessions[was] <= 0 {
		delete(o.sessions, was)
	}
	if userID != "" {
		o.userOf[sessionID] = userID
		o.sessions[userID]++
	}
	o.report(len(o.sessions))
}

// recount forgets what it has counted, and asks the store.
func (o *loggedIn) recount(b *bridge.Bridge) {
	clear(o.userOf)
	clear(o.sessions)
	for info, err := range b.Sessions(context.Background(), bridge.Filter{}) {
		if err != nil {
			return // events go on from here
		}
		o.is(info.ID, info.UserID)
	}
}

// watch counts from now on.
func (o *loggedIn) watch(b *bridge.Bridge) (off func()) {
	return b.Observe(bridge.Observer{
		SessionSet:     func(e bridge.SessionSet) { o.is(e.SessionID, e.UserID) },
		SessionDestroy: func(e bridge.SessionDestroy) { o.is(e.SessionID, "") },
		Missed:         func(bridge.Missed) { o.recount(b) },
	})
}

func newLoggedIn(report func(users int)) *loggedIn {
	return &loggedIn{userOf: make(map[string]string), sessions: make(map[string]int), report: report}
}

// A gauge of users who are logged in needs the beginnings and the ends of sessions in their order: one
// Observer has both in one queue.
func ExampleBridge_Observe() {
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	newLoggedIn(func(users int) { fmt.Println("users logged in:", users) }).watch(b)

	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err == nil {
			err = s.Login(r.FormValue("user"))
		}
		if err != nil {
			http.Error(w, "not logged in", bridge.HTTPStatus(err))
		}
	})
	mux.HandleFunc("/logout", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			http.Error(w, "not logged out", bridge.HTTPStatus(err))
			return
		}
		s.Logout()
	})
	server := httptest.NewServer(b.Handler(mux))
	defer server.Close()

	phone, laptop := exampleBrowser(server), exampleBrowser(server)
	exampleGet(phone, server.URL+"/login?user=ada")
	exampleGet(laptop, server.URL+"/login?user=bob")
	exampleGet(laptop, server.URL+"/login?user=ada") // in bob's place: he has no session any more
	exampleGet(laptop, server.URL+"/logout")         // ada has another one
	exampleGet(phone, server.URL+"/logout")

	_ = b.Shutdown(context.Background()) // waits for the Observer
	// Output:
	// users logged in: 1
	// users logged in: 2
	// users logged in: 1
	// users logged in: 1
	// users logged in: 0
}
