package linearizability_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
)

// linActor is a client with cookies and sockets of its own: a browser, a copy of one, or a thief.
type linActor struct {
	*linWorld
	number  int
	random  *rand.Rand
	cookies [linSessions]linCookie
	sockets [linSessions]*linSocket
	ops     int
}

// linOps are the operations, each repeated according to its weight.
var linOps = func() (ops []string) {
	for _, op := range []struct {
		name   string
		weight int
	}{
		{"http read", 12},
		{"http look", 6},
		{"http write", 16},
		{"http increment", 14},
		{"http login", 5},
		{"http rotate", 4},
		{"http logout", 1},
		{"socket look", 10},
		{"socket increment", 16},
		{"socket destroy", 1},
		{"api get", 8},
		{"api update", 6},
		{"api set", 4},
		{"api destroy", 1},
	} {
		for range op.weight {
			ops = append(ops, op.name)
		}
	}
	return ops
}()

func (a *linActor) run(ctx context.Context, operations int) {
	for i := range a.cookies {
		a.switchCookie(i)
	}
	for range operations {
		session := a.random.IntN(linSessions)
		if a.random.IntN(10) < 2 {
			a.switchCookie(session)
		}
		a.do(ctx, session, linOps[a.random.IntN(len(linOps))])
		a.ops++
	}
	for _, s := range a.sockets {
		if s != nil {
			_ = s.ws.CloseNow()
			for range s.answers { // until its reader is done
			}
		}
	}
}

func (a *linActor) do(ctx context.Context, session int, op string) {
	name := fmt.Sprintf("%d/%d", a.number, a.ops)
	var kind, what string
	_, _ = fmt.Sscan(op, &kind, &what)
	switch kind {
	case "http":
		a.overHTTP(ctx, session, what, name)
	case "socket":
		a.overSocket(ctx, session, what, name)
	case "api":
		a.byID(ctx, session, what)
	}
}

// switchCookie takes over the newest cookie that any actor has received, as the tabs of one browser
// do.
func (a *linActor) switchCookie(session int) {
	s := &a.sessions[session]
	s.mu.Lock()
	defer s.mu.Unlock()
	a.cookies[session] = s.newest
}

// nextLabel names a token that is about to be made; false when there are too many.
func (a *linActor) nextLabel(session int) (uint8, bool) {
	s := &a.sessions[session]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.labels == 63 {
		return 0, false
	}
	s.labels++
	return s.labels, true
}

func (a *linActor) unexpected(op string, what any) {
	a.t.Errorf("actor %d: %s: %v", a.number, op, what)
}

// overHTTP does an operation on the request's session.
func (a *linActor) overHTTP(ctx context.Context, session int, what, name string) {
	cookie := a.cookies[session]
	effect := linEvent{label: cookie.label}
	query := url.Values{"do": {what}, "op": {name}}
	switch what {
	case "write":
		effect.kind = linWrite
		effect.values.A = int(a.fresh.Add(1))
		if a.random.IntN(3) == 0 {
			effect.values.B = int(a.fresh.Add(1))
		}
		query.Set("a", strconv.Itoa(effect.values.A))
		query.Set("b", strconv.Itoa(effect.values.B))
	case "increment":
		effect.kind = linIncrement
	case "login", "rotate":
		label, ok := a.nextLabel(session)
		if !ok {
			return
		}
		effect.kind, effect.next = linRotate, label
		if what == "login" {
			effect.kind, effect.values.User = linLogin, "user "+name
			query.Set("user", effect.values.User)
		}
	case "logout":
		effect.kind = linDestroy
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+"/?"+query.Encode(), nil)
	if err != nil {
		a.unexpected(what, err)
		return
	}
	r.Header.Set("Cookie", cookie.header)
	from, began := a.clock.Add(1), time.Now()
	res, err := a.client.Do(r)
	if err != nil {
		a.unexpected(what, err)
		return
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	to := a.clock.Add(1)
	if err != nil {
		a.unexpected(what, err)
		return
	}
	header, set := linCookies(res)
	if res.StatusCode == http.StatusOK && effect.next != 0 {
		switch {
		case set:
			a.receive(session, linCookie{header, effect.next, what == "rotate"})
		case time.Since(began) < linPromptly:
			a.unexpected(what, "no cookie with the new token")
			return
		}
	}
	var v linView
	if json.Unmarshal(body, &v) != nil {
		v.Word = linMiddlewareWord(res, string(body))
	}
	a.judgeHTTP(session, linCall{what, name, from, to, cookie}, v, effect)
}

// linPromptly is how soon after its change a response always sets its cookie. A later response
// doesn't set a cookie that has been replaced, or whose session has ended, since the change.
const linPromptly = 100 * time.Millisecond

// receive stores a new cookie; the other tabs find it there.
func (a *linActor) receive(session int, c linCookie) {
	a.cookies[session] = c
	s := &a.sessions[session]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest = c
}

// linMiddlewareWord returns the outcome of a request that the middleware has answered, because it
// could not store the session.
func linMiddlewareWord(res *http.Response, body string) string {
	switch {
	case res.StatusCode == http.StatusConflict && strings.Contains(body, "again and again"):
		return "conflict"
	case res.StatusCode == http.StatusConflict:
		return "rotated"
	case res.StatusCode == http.StatusUnauthorized:
		return "gone"
	case res.StatusCode == http.StatusServiceUnavailable:
		return "unavailable"
	}
	return "unexpected: " + res.Status
}

// byID does an operation by ID, which needs no token.
func (a *linActor) byID(ctx context.Context, session int, what string) {
	id := a.sessions[session].id
	var e linEvent
	var err error
	from := a.clock.Add(1)
	switch what {
	case "get":
		var s *bridge.Session
		if s, err = a.b.GetByID(ctx, id); err == nil {
			e = linEvent{kind: linRead, values: linViewOf(s).linValues}
		}
	case "update":
		e.kind = linIncrement
		err = a.b.UpdateByID(ctx, id, func(ctx context.Context, s *bridge.Session) error {
			n, err := testkit.Increment(ctx, s)
			e.values.N = n
			return err
		})
	case "set":
		e = linEvent{kind: linReplace, values: linValues{N: 1000 * int(a.fresh.Add(1)), A: int(a.fresh.Add(1))}}
		err = a.b.SetByID(ctx, id, map[string]any{testkit.Count.Name(): e.values.N, "a": e.values.A}, 0)
	case "destroy":
		var was bool
		was, err = a.b.DestroyByID(ctx, id)
		e.kind = linGone
		if was || err != nil {
			e.kind = linEnd
		}
	}
	to := a.clock.Add(1)
	switch {
	case err == nil:
	case errors.Is(err, bridge.ErrSessionMissing), errors.Is(err, bridge.ErrSessionGone):
		e = linEvent{kind: linGone}
	case errors.Is(err, bridge.ErrConflict):
		return
	case errors.Is(err, bridge.ErrStoreUnavailable) && a.troubled:
		e = linUnknown(e)
	default:
		a.unexpected(what, err)
		return
	}
	if e.kind != "" {
		a.record(session, a.number, from, to, e)
	}
}

// linUnknown returns e as an event that may not have happened.
func linUnknown(e linEvent) linEvent {
	e.maybe = true
	if e.kind == linIncrement {
		e.kind = linAdd
	}
	return e
}
