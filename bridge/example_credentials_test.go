package bridge_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A program that does without cookies sends an empty Authorization first, and from then on the
// token that it was last told to keep.
func ExampleTokenFromHeader() {
	b, err := bridge.New(livestore.New(), &bridge.Options{TokenFrom: bridge.TokenFromHeader("Authorization")})
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()

	visits := bridge.NewKey[int]("visits")
	server := httptest.NewServer(b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		n, _ := visits.Get(s)
		visits.Set(s, n+1)
		fmt.Fprintln(w, "visit", n+1)
	})))
	defer server.Close()

	token := ""
	for range 2 {
		r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, server.URL, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			panic(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if kept, ok := res.Header[bridge.SessionTokenHeader]; ok {
			token = kept[0]
		}
		fmt.Print(string(body))
	}
	fmt.Println("has a token:", token != "")
	http.DefaultClient.CloseIdleConnections()
	// Output:
	// visit 1
	// visit 2
	// has a token: true
}

// What is sensitive wants a login of the last ten minutes.
func ExampleBridge_RequireAuthAge() {
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()

	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) { // the password has been checked
		s, err := b.Session(r)
		if err == nil {
			err = s.Login("ada")
		}
		fmt.Fprintln(w, "logged in:", err == nil)
	})
	mux.Handle("/delete-account", b.RequireAuthAge(10*time.Minute, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "deleted")
	})))
	server := httptest.NewServer(b.Handler(mux))
	defer server.Close()

	ada := exampleBrowser(server)
	fmt.Print(exampleGet(ada, server.URL+"/delete-account"))
	fmt.Print(exampleGet(ada, server.URL+"/login"))
	fmt.Print(exampleGet(ada, server.URL+"/delete-account"))
	// Output:
	// A more recent login is needed.
	// logged in: true
	// deleted
}

// A ticket brings the session to a socket that the cookies don't reach.
func ExampleBridge_Ticket() {
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()

	mux := http.NewServeMux()
	mux.HandleFunc("/ticket", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		s.Set("name", "Ada")
		ticket, err := b.Ticket(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		fmt.Fprint(w, ticket)
	})
	mux.Handle("/socket", b.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		return c.WithSession(ctx, func(ctx context.Context, s *bridge.Session) error {
			name, _ := s.Get("name")
			return c.WriteJSON(ctx, name)
		}, nil)
	}, nil))
	server := httptest.NewServer(b.Handler(mux))
	defer server.Close()

	ticket := exampleGet(exampleBrowser(server), server.URL+"/ticket")
	offer := &websocket.DialOptions{Subprotocols: []string{bridge.Subprotocol, "sessionbridge.ticket." + ticket}}
	for range 2 {
		ws, _, err := websocket.Dial(context.Background(), server.URL+"/socket", offer) // without any cookie
		if err != nil {
			fmt.Println("a ticket is good once")
			break
		}
		_, message, _ := ws.Read(context.Background())
		fmt.Println(string(message), "by", ws.Subprotocol())
		_ = ws.CloseNow()
	}
	// Output:
	// "Ada" by sessionbridge
	// a ticket is good once
}

// A login over a socket: what the socket is given, the browser redeems over HTTP, where a cookie
// can be set.
func ExampleConn_LoginTicket() {
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()

	mux := http.NewServeMux()
	mux.HandleFunc("/start", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		s.Set("started", true)
	})
	mux.Handle("/socket", b.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		var login struct{ User, Password string }
		if err := c.ReadJSON(ctx, &login); err != nil {
			return err
		}
		if login.Password != "correct horse" {
			return c.WriteJSON(ctx, "wrong password")
		}
		ticket, err := c.LoginTicket(ctx, login.User)
		if err != nil {
			return err
		}
		return c.Write(ctx, websocket.MessageText, []byte(ticket))
	}, nil))
	mux.HandleFunc("/redeem", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.RedeemTicket(r, r.FormValue("ticket"))
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		fmt.Fprintln(w, "welcome", s.UserID())
	})
	server := httptest.NewServer(b.Handler(mux))
	defer server.Close()

	ada := exampleBrowser(server)
	exampleGet(ada, server.URL+"/start")
	ws, _, err := websocket.Dial(context.Background(), server.URL+"/socket", &websocket.DialOptions{HTTPClient: ada})
	if err != nil {
		panic(err)
	}
	defer func() { _ = ws.CloseNow() }()
	_ = ws.Write(context.Background(), websocket.MessageText, []byte(`{"user":"ada","password":"correct horse"}`))
	_, ticket, _ := ws.Read(context.Background())
	form := map[string][]string{"ticket": {string(ticket)}} // in the body: what is in a URL gets logged
	res, err := ada.PostForm(server.URL+"/redeem", form)
	if err != nil {
		panic(err)
	}
	defer func() { _ = res.Body.Close() }()
	welcome, _ := io.ReadAll(res.Body)
	fmt.Print(string(welcome))
	// Output: welcome ada
}

// A socket whose user has confirmed something by another factor gives the session a new token.
func ExampleConn_RotateTicket() {
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()

	mux := http.NewServeMux()
	mux.HandleFunc("/start", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		s.Set("started", true)
	})
	mux.Handle("/socket", b.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		ticket, err := c.RotateTicket(ctx)
		if err != nil {
			return err
		}
		return c.Write(ctx, websocket.MessageText, []byte(ticket))
	}, nil))
	mux.HandleFunc("/redeem", func(w http.ResponseWriter, r *http.Request) {
		if _, err := b.RedeemTicket(r, r.FormValue("ticket")); err != nil {
			b.WriteError(w, r, err)
		}
	})
	server := httptest.NewServer(b.Handler(mux))
	defer server.Close()

	ada := exampleBrowser(server)
	exampleGet(ada, server.URL+"/start")
	ws, _, err := websocket.Dial(context.Background(), server.URL+"/socket", &websocket.DialOptions{HTTPClient: ada})
	if err != nil {
		panic(err)
	}
	defer func() { _ = ws.CloseNow() }()
	_, ticket, _ := ws.Read(context.Background())
	res, err := ada.PostForm(server.URL+"/redeem", map[string][]string{"ticket": {string(ticket)}})
	if err != nil {
		panic(err)
	}
	_ = res.Body.Close()
	fmt.Println(res.StatusCode, "with a new cookie:", res.Header.Get("Set-Cookie") != "")
	// Output: 200 with a new cookie: true
}
