package bridge_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testhub"
)

// Two processes on one store are one application: who logs in at one has a socket at the other,
// gets messages there, and is closed when the login ends.
func ExampleNew_nodes() {
	shared := testhub.New() // in an application: redisstore.Open, in each process
	opts := &bridge.Options{Keys: [][]byte{bytes.Repeat([]byte("k"), 64)}}
	here, err := bridge.New(shared, opts)
	if err != nil {
		panic(err)
	}
	there, err := bridge.New(shared, opts)
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	defer func() { _, _ = here.Shutdown(ctx), there.Shutdown(ctx) }()

	login := here.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := here.Session(r)
		if err == nil {
			err = s.Login("ada")
		}
		if err != nil {
			here.WriteError(w, r, err)
		}
	}))
	response := httptest.NewRecorder()
	login.ServeHTTP(response, httptest.NewRequest(http.MethodPost, "/login", http.NoBody))

	server := httptest.NewServer(there.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		if err := c.Write(ctx, websocket.MessageText, []byte("welcome")); err != nil {
			return err
		}
		_, _, err := c.Read(ctx) // until the connection ends
		return err
	}, nil))
	defer server.Close()
	cookies := &http.Request{Header: http.Header{}}
	for _, cookie := range response.Result().Cookies() {
		cookies.AddCookie(cookie)
	}
	ws, _, err := websocket.Dial(ctx, server.URL, &websocket.DialOptions{HTTPHeader: cookies.Header})
	if err != nil {
		panic(err)
	}
	_, message, err := ws.Read(ctx)
	fmt.Printf("%s %v\n", message, err)

	for c, err := range here.Conns(ctx, bridge.ConnFilter{UserID: "ada"}) {
		fmt.Println("a socket of", c.UserID, "on another node:", c.Node != "", err)
	}
	n, err := here.Notify(ctx, bridge.To{UserID: "ada"}, []byte("hello"))
	fmt.Println("sent to", n, err)
	_, message, err = ws.Read(ctx)
	fmt.Printf("%s %v\n", message, err)
	n, err = here.DestroyUser(ctx, "ada")
	fmt.Println("ended", n, err)
	_, _, err = ws.Read(ctx)
	fmt.Println("closed with", websocket.CloseStatus(err) == bridge.CodeDestroyed)
	// Output:
	// welcome <nil>
	// a socket of ada on another node: true <nil>
	// sent to 1 <nil>
	// hello <nil>
	// ended 1 <nil>
	// closed with true
}
