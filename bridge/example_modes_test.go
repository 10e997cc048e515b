package bridge_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A cart that is filled by messages: each one is handled on the session, and answered when the cart
// is stored.
func ExampleBridge_Messages() {
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()
	cart := bridge.NewKey[[]string]("cart")

	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		cart.Set(s, []string{"bread"})
	})
	mux.Handle("/cart", b.Messages(func(_ context.Context, _ *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		var order struct{ Add string }
		if err := msg.Decode(&order); err != nil || order.Add == "" {
			return msg.Reply([]byte("not understood"))
		}
		items, _ := cart.Get(s)
		items = append(items, order.Add)
		cart.Set(s, items)
		return msg.ReplyJSON(items)
	}, &bridge.ConnOptions{
		MessagesPerSecond: 10, // S13: nobody needs more
		OnMessageError: func(ctx context.Context, c *bridge.Conn, err error) error {
			return c.WriteJSON(ctx, "try again")
		},
	}))
	server := httptest.NewServer(b.Handler(mux))
	defer server.Close()

	browser := exampleBrowser(server)
	exampleGet(browser, server.URL)
	fmt.Println(exampleSay(browser, server.URL+"/cart", `{"add":"milk"}`))
	fmt.Println(exampleSay(browser, server.URL+"/cart", `null`))
	fmt.Println(exampleSay(browser, server.URL+"/cart", `{"add":"tea"}`))
	// Output:
	// ["bread","milk"]
	// not understood
	// ["bread","milk","tea"]
}

// An editor keeps its draft in the session, which is stored now and then, and when the connection
// ends.
func ExampleBridge_PerConnection() {
	b, err := bridge.New(livestore.New(), &bridge.Options{
		DrainOver:           20 * time.Second, // a deploy sends the clients away one after the other
		HandshakesPerSecond: 200,              // and they are let in no faster than this
	})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		s.Set("seen", true)
		draft, _ := s.Get("draft")
		fmt.Fprint(w, draft)
	})
	mux.Handle("/editor", b.PerConnection(func(ctx context.Context, c *bridge.Conn, s *bridge.Session) error {
		for {
			kind, text, err := c.Read(ctx)
			if err != nil {
				return err // what has been typed until now is stored
			}
			s.Set("draft", string(text))
			if err := c.SaveSession(ctx); err != nil { // not needed, but for who wants to be told
				return err
			}
			if err := c.Write(ctx, kind, []byte("saved")); err != nil {
				return err
			}
		}
	}, nil))
	server := httptest.NewServer(b.Handler(mux))
	defer server.Close()

	browser := exampleBrowser(server)
	fmt.Println(exampleGet(browser, server.URL))
	fmt.Println(exampleSay(browser, server.URL+"/editor", "Dear Ada,"))
	fmt.Println(exampleGet(browser, server.URL))
	fmt.Println(b.Shutdown(context.Background()))
	// Output:
	// <nil>
	// saved
	// Dear Ada,
	// <nil>
}
