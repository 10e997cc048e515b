package soak_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// farmActor is a client with cookies and sockets of its own: a browser, a copy of one, or a thief.
// It is at any node.
type farmActor struct {
	*farmHistory
	number int
	random *rand.Rand
	held   [farmPlaces]farmHeld
}

// farmHeld is what an actor knows of one place: the session that was there at its last look, and
// its cookie and socket.
type farmHeld struct {
	session *farmSession
	cookie  farmCookie
	socket  *farmSocket
}

// farmCookie is the cookie that a browser presents.
type farmCookie struct {
	session, client string
	label           int // of the token
}

func (c farmCookie) header() string { return strings.TrimSuffix(c.session+"; "+c.client, "; ") }

// keep stores a response's cookies as a browser does. It reports whether there is a new session
// cookie.
func (c *farmCookie) keep(res *http.Response) (set bool) {
	for _, got := range res.Cookies() {
		if got.MaxAge < 0 {
			continue
		}
		switch pair := got.Name + "=" + got.Value; got.Name {
		case "sid":
			c.session, set = pair, true
		case "sid.cid":
			c.client = pair
		}
	}
	return set
}

// farmOps are the operations, each repeated according to its weight.
var farmOps = func() (ops []string) {
	for _, op := range []struct {
		name   string
		weight int
	}{
		{"http read", 10},
		{"http increment", 14},
		{"http write", 14},
		{"http login", 5},
		{"http destroy", 3},
		{"socket look", 8},
		{"socket increment", 16},
		{"socket destroy", 1},
		{"socket leave", 3},
	} {
		for range op.weight {
			ops = append(ops, op.name)
		}
	}
	return ops
}()

func (a *farmActor) run(operations int) {
	for place := range a.held {
		a.look(place)
	}
	for range operations {
		a.wait(10 * time.Millisecond)
		place := a.random.IntN(farmPlaces)
		if a.random.IntN(10) < 2 {
			a.look(place)
		}
		a.goOn(place, a.do(place, farmOps[a.random.IntN(len(farmOps))]))
	}
	for place := range a.held {
		a.leave(place)
	}
}

// wait lets some time pass.
func (a *farmActor) wait(most time.Duration) {
	<-time.After(time.Duration(a.random.Int64N(int64(most))))
}

// look takes over the newest cookie of the session that is at the place now, as the tabs of one
// browser do.
func (a *farmActor) look(place int) {
	h := &a.held[place]
	s, cookie := a.at(place)
	if s != h.session {
		a.leave(place)
	}
	h.session, h.cookie = s, cookie
}

func (a *farmActor) leave(place int) {
	if s := a.held[place].socket; s != nil {
		_ = s.wire.conn.Close()
		a.held[place].socket = nil
	}
}

// do does one operation at a node of its own choice.
func (a *farmActor) do(place int, op string) farmOutcome {
	a.tally.operations.Add(1)
	var kind, what string
	_, _ = fmt.Sscan(op, &kind, &what)
	switch {
	case kind == "http":
		return a.overHTTP(place, a.anyNode(a.random), what)
	case what == "leave":
		a.leave(place)
		return farmFine
	}
	return a.overSocket(place, what)
}

// goOn reacts to an outcome as a user does: it looks again, waits, or begins anew.
func (a *farmActor) goOn(place int, outcome farmOutcome) {
	before := a.held[place]
	switch outcome {
	case farmFine:
		return
	case farmUnavailable:
		a.wait(60 * time.Millisecond)
	}
	if a.random.IntN(2) == 0 { // otherwise it tries its cookie once more
		return
	}
	a.look(place)
	h := a.held[place]
	switch {
	case h.session != before.session || h.cookie.label != before.cookie.label || outcome == farmUnavailable:
	case outcome == farmOver && h.session.succeeds():
		a.create(place, h.cookie) // with the old one's cookies
	case a.random.IntN(3) == 0: // an answer may have been lost, so that no actor has the newest cookie
		a.create(place, farmCookie{})
	}
}

// create has a new session at the place. The cookie is none, or that of a session which is over.
func (a *farmActor) create(place int, cookie farmCookie) {
	old := a.held[place].session
	a.tally.operations.Add(1)
	from := a.clock.Add(1)
	v, res, err := a.ask(a.anyNode(a.random), cookie.header(), url.Values{"do": {"create"}})
	to := a.clock.Add(1)
	switch {
	case err != nil:
		a.puzzled("create", err)
		return
	case v.Word == "unavailable":
		a.tally.unknown.Add(1)
		return
	case v.Word == "gone" && cookie.session != "":
		old.record(a.number, from, to, farmEvent{kind: farmEnding, label: cookie.label})
		return
	case v.Word != "ok":
		a.puzzled("create", fmt.Sprintf("%+v at %v", v, res.Request.URL))
		return
	case old != nil && v.ID == old.id: // judge reports that
		old.record(a.number, from, to, farmEvent{kind: farmIncrement, label: cookie.label, values: v.farmValues})
		return
	}
	if old != nil && cookie.session != "" {
		old.record(a.number, from, to, farmEvent{kind: farmRefused, label: cookie.label})
	}
	if !cookie.keep(res) || v.farmValues != (farmValues{N: 1}) {
		a.puzzled("create", fmt.Sprintf("no cookie, or a session that isn't new: %+v", v))
		return
	}
	cookie.label = 1
	a.add(place, old, &farmSession{id: v.ID, newest: cookie, labels: 1, begin: farmState{cur: 1, values: v.farmValues}})
	a.look(place)
}

// overHTTP does an operation on the request's session.
func (a *farmActor) overHTTP(place int, node *farmNode, what string) farmOutcome {
	h := &a.held[place]
	call := farmCall{what: what, effect: farmEvent{label: h.cookie.label}}
	query := url.Values{"do": {what}}
	switch what {
	case "read":
		call.effect.kind = farmRead
	case "write":
		call.effect.kind = farmWrite
		n := int(a.fresh.Add(1))
		if a.random.IntN(2) == 0 {
			call.effect.values.A = n
		} else {
			call.effect.values.B = n
		}
		query.Set("a", strconv.Itoa(call.effect.values.A))
		query.Set("b", strconv.Itoa(call.effect.values.B))
	case "increment":
		call.effect.kind = farmIncrement
	case "login":
		call.effect.kind, call.effect.next = farmLogin, h.session.nextLabel()
		call.effect.values.User = fmt.Sprint("user ", a.fresh.Add(1))
		query.Set("user", call.effect.values.User)
	case "destroy":
		call.effect.kind = farmDestroy
	}
	call.from = a.clock.Add(1)
	v, res, err := a.ask(node, h.cookie.header(), query)
	call.to = a.clock.Add(1)
	if err != nil {
		a.puzzled(what, err)
		return farmFine
	}
	if what == "login" && v.Word == "ok" {
		if !h.cookie.keep(res) {
			a.puzzled(what, "no cookie with the new token")
		}
		h.cookie.label = call.effect.next
		h.session.receive(h.cookie)
	}
	return a.judge(h.session, call, v, 0)
}

// ask sends a request, once, and returns the answer.
func (f *farm) ask(node *farmNode, cookies string, query url.Values) (v farmView, res *http.Response, err error) {
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodPost, "http://"+node.addr+"/?"+query.Encode(), nil) // no GET, which may be sent twice
	if err != nil {
		return v, nil, err
	}
	if cookies != "" {
		r.Header.Set("Cookie", cookies)
	}
	if res, err = f.client.Do(r); err != nil {
		return v, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return v, nil, err
	}
	if json.Unmarshal(body, &v) != nil {
		v.Word, v.Err = farmMiddlewareWord(res, string(body)), string(body)
	}
	return v, res, nil
}

// farmMiddlewareWord returns the outcome of a request that the middleware has answered, because it
// could not store the session.
func farmMiddlewareWord(res *http.Response, body string) string {
	switch {
	case res.StatusCode == http.StatusConflict && strings.Contains(body, "again and again"):
		return "conflict"
	case res.StatusCode == http.StatusConflict:
		return "rotated"
	case res.StatusCode == http.StatusUnauthorized:
		return "gone"
	case res.StatusCode == http.StatusServiceUnavailable:
		return "not stored"
	}
	return "unexpected: " + res.Status
}

// puzzled records an unexpected answer.
func (a *farmActor) puzzled(what string, got any) {
	h := a.farmHistory
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unexpected = append(h.unexpected, fmt.Sprintf("actor %d: %s: %v", a.number, what, got))
}
