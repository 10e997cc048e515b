package bridge_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// exampleSockets serves a handler of sockets and returns a function that connects a client, whose
// end it waits for.
func exampleSockets(b *bridge.Bridge, h http.Handler) (dial func() *websocket.Conn, end func()) {
	opened := make(chan struct{}, 10)
	b.OnConnOpen(func(bridge.ConnOpen) { opened <- struct{}{} })
	server := httptest.NewServer(b.Handler(h))
	dial = func() *websocket.Conn {
		ws, _, err := websocket.Dial(context.Background(), server.URL, nil)
		if err != nil {
			panic(err)
		}
		<-opened
		return ws
	}
	return dial, func() { _ = b.Shutdown(context.Background()); server.Close() }
}

// A page that only receives messages.
func ExampleBridge_NotifyJSON() {
	ctx := context.Background()
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	dial, end := exampleSockets(b, b.WebSocket(func(_ context.Context, c *bridge.Conn) error {
		<-c.CloseRead().Done() // a message of the client would close the connection
		return nil
	}, nil))
	defer end()
	ws := dial()

	n, err := b.NotifyJSON(ctx, bridge.To{All: true}, map[string]int{"unread": 3})
	fmt.Println(n, err)
	_, text, err := ws.Read(ctx)
	fmt.Println(string(text), err)

	_, err = b.NotifyBinary(ctx, bridge.To{All: true}, []byte{1, 2, 3})
	fmt.Println(err)
	kind, data, err := ws.Read(ctx)
	fmt.Println(kind, len(data), err)
	// Output:
	// 1 <nil>
	// {"unread":3} <nil>
	// <nil>
	// MessageBinary 3 <nil>
}

// Data of the application's own, which the list of connections shows; and closing those that match.
func ExampleBridge_CloseConns() {
	ctx := context.Background()
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	dial, end := exampleSockets(b, b.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		c.SetData("reading")
		_, _, err := c.Read(ctx)
		return err
	}, &bridge.ConnOptions{Name: func(*http.Request) string { return "hall" }}))
	defer end()
	one, two := dial(), dial()

	var ids []string
	for c, err := range b.Conns(ctx, bridge.ConnFilter{Name: "hall"}) {
		if err != nil {
			panic(err)
		}
		ids = append(ids, c.ID)
	}
	fmt.Println(len(ids), b.SetConnData(ids[0], "writing"))
	n, err := b.CloseConns(ctx, bridge.ConnFilter{Name: "hall"}, 4100, "the hall is closed")
	fmt.Println(n, err)
	for _, ws := range []*websocket.Conn{one, two} {
		_, _, err := ws.Read(ctx)
		fmt.Println(websocket.CloseStatus(err))
	}
	// Output:
	// 2 true
	// 2 <nil>
	// StatusCode(4100)
	// StatusCode(4100)
}

// One queue for events of all kinds, read by a loop of the application. A queue that is full drops
// events and counts them; it delays no other goroutine.
func ExampleBridge_Subscribe() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	events := b.Subscribe(ctx, 100)
	c, err := b.Create(ctx, bridge.NewSession{UserID: "ada"})
	if err != nil {
		panic(err)
	}
	if _, err := b.DestroyByID(ctx, c.SessionID); err != nil {
		panic(err)
	}
	_ = b.Shutdown(context.Background()) // closes the channel when all events have been taken
	for event := range events {
		switch e := event.(type) {
		case bridge.SessionSet:
			fmt.Println("begins:", e.UserID)
		case bridge.SessionDestroy:
			fmt.Println("ends:", e.UserID, e.Reason)
		}
	}
	// Output:
	// begins: ada
	// ends: ada destroyed
}

// A session that the application has removed from the store by itself: without the call, its sockets
// would stay open until the next check.
func ExampleBridge_NotifyStoreDestroy() {
	ctx := context.Background()
	st := livestore.New()
	b, err := bridge.New(st, nil)
	if err != nil {
		panic(err)
	}
	b.OnSessionDestroy(func(e bridge.SessionDestroy) { fmt.Println("ended", e.Via) })
	c, err := b.Create(ctx, bridge.NewSession{UserID: "ada"})
	if err != nil {
		panic(err)
	}
	existed, err := st.Destroy(ctx, c.SessionID)
	fmt.Println(existed, err)
	b.NotifyStoreDestroy(c.SessionID)
	_ = b.Shutdown(ctx) // waits for the callbacks
	// Output:
	// true <nil>
	// ended store
}

// A long response with a name, to which messages are sent. For connections of a WebSocket library, pass
// HandshakeHeader to its upgrader, and call AttachWith after the upgrade.
func ExampleBridge_AttachWith() {
	ctx := context.Background()
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		over := make(chan string, 1)
		link, err := b.AttachWith(r, bridge.LinkOptions{Name: "news"}, func(_ int, reason string) { over <- reason })
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		lines := make(chan string) // one goroutine writes
		write := func(line string) error {
			select {
			case lines <- line:
				return nil
			case <-link.Context().Done():
				return link.Context().Err()
			}
		}
		link.OnNotify(0, bridge.CloseSlow, func(_ websocket.MessageType, data []byte) error { return write(string(data)) })
		link.Heartbeat(0, func(context.Context) error { return write("") }) // every 30 s
		link.Received(len(r.URL.RawQuery))                                  // what the client has sent counts as activity
		defer link.Detach()
		for line := "open"; ; {
			if _, err := fmt.Fprintln(w, line); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			link.Sent(len(line))
			select {
			case line = <-lines:
			case reason := <-over:
				_, _ = fmt.Fprintln(w, "closed:", reason)
				return
			}
		}
	})))
	defer func() { _ = b.Shutdown(ctx); server.Close() }()

	res, err := server.Client().Get(server.URL)
	if err != nil {
		panic(err)
	}
	defer func() { _ = res.Body.Close() }()
	news := bufio.NewScanner(res.Body)
	next := func() string { news.Scan(); return news.Text() }
	fmt.Println(next())
	_, err = b.Notify(ctx, bridge.To{Name: "news"}, []byte("it rains"))
	fmt.Println(next(), err)
	_, err = b.CloseConns(ctx, bridge.ConnFilter{Name: "news"}, 4100, "enough")
	fmt.Println(next(), err)
	// Output:
	// open
	// it rains <nil>
	// closed: enough <nil>
}
