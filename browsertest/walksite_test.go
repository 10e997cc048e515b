package browsertest_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// walkSite logs in and out, rotates, stores and says who is logged in, over HTTP and a socket. Each
// request says by its query how slow its handler is, and what the network does with its response.
// What may never be shown is noted where it would be.
type walkSite struct {
	*bridge.Bridge
	url string

	mu       sync.Mutex
	underWay int
	statuses map[string][]int     // of the responses to each request, as the server sent them
	ended    map[string]time.Time // sessions that somebody has logged out of
	faults   []string
	trace    []string // of the round: which credential each request presented, and which one was set
	letters  map[string]string
	used     map[string]bool // sessions of the round, by ID
	last     string          // what was presented by the last /who that isn't traced
}

func startWalkSite(t *testing.T, opts *bridge.Options) *walkSite {
	t.Helper()
	b, err := bridge.New(livestore.New(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Shutdown(context.WithoutCancel(t.Context()))) })
	site := &walkSite{Bridge: b, statuses: make(map[string][]int), ended: make(map[string]time.Time), letters: make(map[string]string), used: make(map[string]bool)}
	mux := http.NewServeMux()
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, walkPage)
	})
	for path, do := range map[string]func(r *http.Request, s *bridge.Session) error{
		"/who":    func(*http.Request, *bridge.Session) error { return nil },
		"/rotate": func(_ *http.Request, s *bridge.Session) error { return s.Rotate() },
		"/store": func(r *http.Request, s *bridge.Session) error {
			s.Set("basket", s.UserID()+":"+r.FormValue("nth"))
			return nil
		},
		"/login": func(r *http.Request, s *bridge.Session) error {
			pauseFor(r, "hash")
			if err := s.Login(r.FormValue("user")); err != nil {
				return err
			}
			s.Set("secret", "of "+s.UserID())
			return nil
		},
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			began := time.Now()
			pauseFor(r, "before")
			s, err := b.Session(r)
			if err == nil {
				err = do(r, s)
			}
			pauseFor(r, "after")
			site.answer(w, r, s, began, err)
		})
	}
	mux.HandleFunc("/logout", func(w http.ResponseWriter, r *http.Request) {
		pauseFor(r, "before")
		id := ""
		err := b.WithSession(r, func(_ context.Context, s *bridge.Session) error {
			id = s.ID()
			s.Logout()
			return nil
		}, nil)
		if err == nil {
			site.mu.Lock()
			site.ended[id] = time.Now()
			site.mu.Unlock()
		}
		pauseFor(r, "after")
		site.answer(w, r, nil, time.Time{}, err)
	})
	mux.Handle("/socket", b.WebSocket(site.socket, nil))
	srv := httptest.NewServer(site.network(b.Handler(mux)))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	site.url = strings.Replace(srv.URL, "127.0.0.1", "localhost", 1) // where browsers send Sec-Fetch-Site
	return site
}

func pauseFor(r *http.Request, name string) {
	if d, err := time.ParseDuration(r.URL.Query().Get(name)); err == nil {
		time.Sleep(d)
	}
}

func (site *walkSite) answer(w http.ResponseWriter, r *http.Request, s *bridge.Session, began time.Time, err error) {
	if err != nil {
		site.WriteError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprint(w, site.see(s, began))
}

// see returns who is logged in to the session, "" for none, and notes it if that is not theirs to
// see, or the session had ended before it was asked for.
func (site *walkSite) see(s *bridge.Session, began time.Time) string {
	if s == nil {
		return ""
	}
	user := s.UserID()
	secret, has := s.Get("secret")
	basket, _ := s.Get("basket")
	owner, _, _ := strings.Cut(fmt.Sprint(basket), ":")
	site.mu.Lock()
	defer site.mu.Unlock()
	site.used[s.ID()] = true
	if has != (user != "") || has && secret != "of "+user || basket != nil && owner != "" && owner != user {
		site.faults = append(site.faults, fmt.Sprintf("%q sees the secret %v and the basket %v", user, secret, basket))
	}
	if at, ended := site.ended[s.ID()]; ended && at.Before(began) {
		site.faults = append(site.faults, fmt.Sprintf("%q is back after a logout", user))
	}
	return user
}

// socket answers each message with who is logged in.
func (site *walkSite) socket(ctx context.Context, c *bridge.Conn) error {
	for {
		if _, _, err := c.Read(ctx); err != nil {
			return err
		}
		began, user := time.Now(), ""
		err := c.WithSession(ctx, func(_ context.Context, s *bridge.Session) error {
			user = site.see(s, began)
			return nil
		}, func(context.Context) error { return nil })
		if err != nil { // it is about to be closed
			continue
		}
		if err := c.Write(ctx, websocket.MessageText, []byte(user)); err != nil {
			return err
		}
	}
}

// users returns the users of the sockets, "" for one without a session or a user.
func (site *walkSite) users() (all []string) {
	for info, err := range site.Conns(context.Background(), bridge.ConnFilter{}) {
		if err != nil {
			return append(all, err.Error())
		}
		all = append(all, fmt.Sprintf("%q", info.UserID))
	}
	return all
}

// network delivers a request with ?held and the response to one with ?late that much later, loses
// the first response to one with lose=once, and all with lose=all. The server has done by then what
// it was asked for, and a browser may send the request again by itself.
func (site *walkSite) network(server http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("nth") == "" {
			if r.URL.Path == "/who" {
				site.mu.Lock()
				site.last = site.presented(r)
				site.mu.Unlock()
			}
			server.ServeHTTP(w, r)
			return
		}
		site.count(1)
		defer site.count(-1)
		pauseFor(r, "held")
		response := httptest.NewRecorder()
		server.ServeHTTP(response, r)
		site.note(r, response)
		site.mu.Lock()
		again := len(site.statuses[q.Get("nth")]) > 0
		site.statuses[q.Get("nth")] = append(site.statuses[q.Get("nth")], response.Code)
		site.mu.Unlock()
		if q.Get("lose") == "all" || q.Get("lose") == "once" && !again {
			panic(http.ErrAbortHandler)
		}
		pauseFor(r, "late")
		maps.Copy(w.Header(), response.Header())
		w.WriteHeader(response.Code)
		_, _ = response.Body.WriteTo(w)
	})
}

// note adds a request to the trace.
func (site *walkSite) note(r *http.Request, response *httptest.ResponseRecorder) {
	site.mu.Lock()
	defer site.mu.Unlock()
	line := fmt.Sprintf("%s nth=%s: ", r.URL.Path, r.URL.Query().Get("nth"))
	if with := site.presented(r); with != "" {
		line += "with " + with + " "
	}
	line += fmt.Sprint(response.Code)
	for _, c := range response.Result().Cookies() {
		if isSessionCookie(c) {
			line += " sets " + site.letter(c.Value)
		}
	}
	site.trace = append(site.trace, line)
}

// presented returns the credentials that the request presents. The lock is held.
func (site *walkSite) presented(r *http.Request) string {
	var all []string
	for _, c := range r.Cookies() {
		if isSessionCookie(c) {
			all = append(all, site.letter(c.Value))
		}
	}
	return strings.Join(all, " ")
}

// lastPresented returns what was presented by the last /who that isn't traced.
func (site *walkSite) lastPresented() string {
	site.mu.Lock()
	defer site.mu.Unlock()
	return site.last
}

func isSessionCookie(c *http.Cookie) bool { return c.Name == "sid" || c.Name == "__Host-sid" }

// letter returns a short name of a session credential: the same one whenever it is signed.
func (site *walkSite) letter(cookie string) string {
	text, _ := base64.URLEncoding.DecodeString(cookie)
	fields := strings.Split(string(text), "|") // date, value, signature
	if len(fields) < 3 {
		return fmt.Sprintf("%q", cookie)
	}
	if site.letters[fields[1]] == "" {
		site.letters[fields[1]] = fmt.Sprintf("c%d", len(site.letters))
	}
	return site.letters[fields[1]]
}

// several reports whether several of the sessions that were used since the last call haven't ended: the browser
// has the cookies of one of them.
func (site *walkSite) several() bool {
	site.mu.Lock()
	used := site.used
	site.used = make(map[string]bool)
	site.mu.Unlock()
	left := 0
	for id := range used {
		if _, err := site.Info(context.Background(), id); err == nil {
			left++
		}
	}
	return left > 1
}

// traced returns the requests since the last call, in the order in which they were answered.
func (site *walkSite) traced() []string {
	site.mu.Lock()
	defer site.mu.Unlock()
	defer func() { site.trace = nil }()
	return site.trace
}

func (site *walkSite) count(delta int) {
	site.mu.Lock()
	defer site.mu.Unlock()
	site.underWay += delta
}

// quiet reports whether no request is under way.
func (site *walkSite) quiet() bool {
	site.mu.Lock()
	defer site.mu.Unlock()
	return site.underWay == 0
}

// done reports whether the server has done what the request asked for.
func (site *walkSite) done(nth string) bool {
	site.mu.Lock()
	defer site.mu.Unlock()
	return slices.Contains(site.statuses[nth], http.StatusOK)
}

// fault returns what has been shown that may never be, "" for nothing.
func (site *walkSite) fault() string {
	site.mu.Lock()
	defer site.mu.Unlock()
	return strings.Join(site.faults, "\n")
}

// walkPage does what it is told, and has a socket that comes back as docs/sockets.md says.
const walkPage = `<!doctype html><title>walk</title><link rel="icon" href="data:,"><body></body><script>
const sleep = ms => new Promise(done => setTimeout(done, ms));
const pending = [];

// act sends a request after a while, and may give up on it. Status 0: no answer.
function act(path, wait, giveUp) {
	pending.push((async () => {
		await sleep(wait);
		const cancel = new AbortController();
		if (giveUp > 0) setTimeout(() => cancel.abort(), giveUp);
		try {
			const response = await fetch(path, { method: "POST", signal: cancel.signal });
			return response.status + " " + await response.text();
		} catch {
			return "0";
		}
	})());
}
const answers = async () => JSON.stringify(await Promise.all(pending.splice(0)));

// post leaves the page with a form, once or with a double click.
function post(path, again) {
	const form = document.body.appendChild(document.createElement("form"));
	form.method = "post";
	form.action = path;
	setTimeout(() => form.submit());
	if (again > 0) setTimeout(() => form.submit(), again);
}

let socket = null, heard = () => {}, sentBack = 0;
function connect() {
	const ws = socket = new WebSocket(location.origin.replace("http", "ws") + "/socket");
	ws.onmessage = e => heard(e.data);
	ws.onclose = e => {
		socket = null;
		if (e.code === 4001) sentBack++;
		if (e.code < 4500) setTimeout(connect, 20);
	};
}

// ask asks the socket who is logged in. "?": it has no answer now.
async function ask() {
	if (!socket) connect();
	for (let i = 0; i < 50 && socket?.readyState === WebSocket.CONNECTING; i++) await sleep(20);
	if (socket?.readyState !== WebSocket.OPEN) return "?";
	return await Promise.race([sleep(1000).then(() => "?"), new Promise(done => { heard = done; socket.send("who"); })]);
}
</script>`
