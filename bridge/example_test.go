package bridge_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A page that remembers its visitor.
func Example() {
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()

	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		if name := r.FormValue("name"); name != "" {
			s.Set("name", name) // stored before the answer leaves
		}
		name, _ := s.Get("name")
		fmt.Fprintln(w, "hello", name)
	})
	server := httptest.NewServer(b.Handler(mux))
	defer server.Close()

	ada, stranger := exampleBrowser(server), exampleBrowser(server)
	fmt.Print(exampleGet(ada, server.URL+"/?name=Ada"))
	fmt.Print(exampleGet(ada, server.URL))
	fmt.Print(exampleGet(stranger, server.URL))
	// Output:
	// hello Ada
	// hello Ada
	// hello <nil>
}

// One function counts, whichever way the client comes: calls on one session run one at a time, so
// none is lost.
func ExampleBridge_WithSession() {
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()

	clicks := bridge.NewKey[int]("clicks")
	click := func(_ context.Context, s *bridge.Session) error {
		n, _ := clicks.Get(s)
		clicks.Set(s, n+1)
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/click", func(w http.ResponseWriter, r *http.Request) {
		if err := b.WithSession(r, click, nil); err != nil { // nil: without a session, make one
			b.WriteError(w, r, err)
			return
		}
		s, err := b.Session(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		n, _ := clicks.Get(s)
		fmt.Fprint(w, n)
	})
	mux.Handle("/socket", b.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		for {
			if _, _, err := c.Read(ctx); err != nil {
				return err
			}
			if err := c.WithSession(ctx, click, nil); err != nil { // nil: without a session, an error
				return err
			}
			if err := c.Write(ctx, websocket.MessageText, []byte("clicked")); err != nil {
				return err
			}
		}
	}, nil))
	server := httptest.NewServer(b.Handler(mux))
	defer server.Close()

	browser := exampleBrowser(server)
	fmt.Println(exampleGet(browser, server.URL+"/click"))
	fmt.Println(exampleSay(browser, server.URL+"/socket", "click"))
	fmt.Println(exampleGet(browser, server.URL+"/click"))
	// Output:
	// 1
	// clicked
	// 3
}

// A socket may come without a session: Fallback says what to answer then.
func ExampleWithSession() {
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()

	greet := func(_ context.Context, s *bridge.Session) (string, error) {
		return "welcome back, " + s.UserID(), nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err == nil {
			err = s.Login("ada") // who has proved it, by a password for example
		}
		if err != nil {
			b.WriteError(w, r, err)
		}
	})
	mux.Handle("/socket", b.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		greeting, err := bridge.WithSession(ctx, c, greet, bridge.Fallback("who are you?"))
		if err != nil {
			return err
		}
		return c.Write(ctx, websocket.MessageText, []byte(greeting))
	}, nil))
	server := httptest.NewServer(b.Handler(mux))
	defer server.Close()

	browser := exampleBrowser(server)
	fmt.Println(exampleSay(browser, server.URL+"/socket", ""))
	exampleGet(browser, server.URL+"/login")
	fmt.Println(exampleSay(browser, server.URL+"/socket", ""))
	// Output:
	// who are you?
	// welcome back, ada
}

// Keys are made once, as globals, and give a session's values their types.
func ExampleNewKey() {
	type cart struct {
		Items []string `json:"items"`
	}
	carts := bridge.NewKey[cart]("cart")

	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()
	h := b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		err := b.WithSession(r, func(_ context.Context, s *bridge.Session) error {
			c, had := carts.Get(s)
			c.Items = append(c.Items, "tea")
			carts.Set(s, c)
			raw, _ := s.Get(carts.Name())
			fmt.Println(had, raw)
			carts.Delete(s)
			return nil
		}, nil)
		fmt.Println(err)
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	// Output:
	// false map[items:[tea]]
	// <nil>
}

// What a public site sets: keys that outlive the process, its own timeouts, a log.
func ExampleNew() {
	folder, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	keys, err := bridge.LoadOrCreateKeys(filepath.Join(folder, "session.keys"))
	if err != nil {
		panic(err)
	}
	b, err := bridge.New(livestore.New(), &bridge.Options{
		Keys:           keys,
		IdleTimeout:    30 * time.Minute,
		Lifetime:       12 * time.Hour,
		Secure:         bridge.SecureAlways, // TLS ends in front of this process
		OriginPatterns: []string{"*.example.com"},
		TrustedProxies: []string{"10.0.0.0/8"},
		Logger:         slog.New(slog.NewJSONHandler(os.Stderr, nil)),
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(b.Shutdown(context.Background()))

	_, err = bridge.New(livestore.New(), &bridge.Options{Keys: [][]byte{[]byte("secret")}})
	fmt.Println(err)
	// Output:
	// <nil>
	// bridge: Options.Keys[0]: 6 bytes, at least 32 are needed
}

// exampleBrowser returns a client that keeps cookies.
func exampleBrowser(server *httptest.Server) *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err)
	}
	return &http.Client{Jar: jar, Transport: server.Client().Transport}
}

func exampleGet(browser *http.Client, url string) string {
	res, err := browser.Get(url)
	if err != nil {
		panic(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		panic(err)
	}
	return string(body)
}

// exampleSay opens a socket, sends a message and returns the answer.
func exampleSay(browser *http.Client, url, message string) string {
	ctx := context.Background()
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: browser})
	if err != nil {
		panic(err)
	}
	defer ws.CloseNow()
	if err := ws.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
		panic(err)
	}
	_, answer, err := ws.Read(ctx)
	if err != nil {
		panic(err)
	}
	return string(answer)
}
