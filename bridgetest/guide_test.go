package bridgetest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/bridgetest"
)

// The code of docs/testing.md: a test in test/docs compares them.

// newShop returns the handler of an application.
func newShop(b *bridge.Bridge) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err == nil {
			err = s.Login(r.FormValue("user")) // once the password is checked
		}
		if err != nil {
			b.WriteError(w, r, err)
		}
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		s.Logout()
	})
	mux.HandleFunc("GET /cart", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		item, _ := s.Get("item")
		fmt.Fprintf(w, "%s: %v", s.UserID(), item)
	})
	mux.Handle("/ws", b.Messages(onMessage, nil))
	return b.Handler(mux)
}

// onMessage puts an item into the cart.
func onMessage(_ context.Context, _ *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
	if err := addToCart(s, string(msg.Data)); err != nil {
		return err
	}
	return msg.ReplyJSON("added")
}

// addToCart is what requests and messages share.
func addToCart(s *bridge.Session, item string) error {
	if item == "" {
		return errors.New("which item?")
	}
	s.Set("item", item)
	return nil
}

func TestLogin(t *testing.T) {
	b := bridgetest.New(t, nil)
	c := bridgetest.NewClient(t, b, newShop(b))
	c.PostForm("/login", url.Values{"user": {"ada"}}).Expect(http.StatusOK)
	if got := c.Get("/cart").Expect(http.StatusOK).Body; got != "ada: <nil>" {
		t.Error(got)
	}
}

func TestCartOfAUser(t *testing.T) {
	b := bridgetest.New(t, nil)
	c := bridgetest.NewClient(t, b, newShop(b))
	c.LogIn("ada")
	c.Update(func(s *bridge.Session) error { return addToCart(s, "tea") })
	if got := c.Get("/cart").Body; got != "ada: tea" {
		t.Error(got)
	}
}

func TestSocket(t *testing.T) {
	b := bridgetest.New(t, nil)
	c := bridgetest.NewClient(t, b, newShop(b))
	c.LogIn("ada")
	conn := c.Dial("/ws", nil)
	conn.Write("tea")
	if got := conn.Read(); got != `"added"` {
		t.Error(got)
	}
	if got := c.Get("/cart").Body; got != "ada: tea" {
		t.Error(got)
	}
	foreign := http.Header{"Origin": {"https://evil.example"}}
	c.DialRefused("/ws", &websocket.DialOptions{HTTPHeader: foreign}).Expect(http.StatusForbidden)
}

func TestLogoutClosesTheSocket(t *testing.T) {
	b := bridgetest.New(t, nil)
	ends := bridgetest.Events[bridge.SessionDestroy](t, b)
	c := bridgetest.NewClient(t, b, newShop(b))
	c.LogIn("ada")
	conn := c.Dial("/ws", nil)
	c.Post("/logout", "", "").Expect(http.StatusOK)
	conn.ExpectClose(bridge.CodeDestroyed)
	if end := ends.Next(); end.Reason != bridge.ReasonLogout {
		t.Error(end.Reason)
	}
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bridgetest.New(t, &bridge.Options{IdleTimeout: time.Hour})
		c := bridgetest.NewClient(t, b, newShop(b))
		c.LogIn("ada")
		conn := c.Dial("/ws", nil)
		bridgetest.Advance(time.Hour + 2*time.Minute)
		conn.ExpectClose(bridge.CodeExpired)
		if got := c.Get("/cart").Body; got != ": <nil>" {
			t.Error(got)
		}
	})
}

func TestAddToCart(t *testing.T) {
	s := bridgetest.Session(t, map[string]any{"item": "tea"})
	if err := addToCart(s, ""); err == nil {
		t.Error("no error")
	}
	if item, _ := s.Get("item"); item != "tea" {
		t.Error(item)
	}
}

func TestOnMessage(t *testing.T) {
	h := bridgetest.Handle(t, onMessage, nil, websocket.MessageText, []byte("tea"))
	if h.Err != nil || !slices.Equal(h.Sent, []string{`"added"`}) {
		t.Error(h.Err, h.Sent)
	}
	if item, _ := h.Session.Get("item"); item != "tea" {
		t.Error(item)
	}
}

func TestGreeting(t *testing.T) {
	greet := func(ctx context.Context, c *bridge.Conn) error {
		return c.WriteJSON(ctx, "hello")
	}
	ctx, conn, client := bridgetest.Conn(t, nil)
	if err := greet(ctx, conn); err != nil {
		t.Fatal(err)
	}
	if got := client.Read(); got != `"hello"` {
		t.Error(got)
	}
}
