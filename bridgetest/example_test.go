package bridgetest_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/bridgetest"
)

// A test of a logout: it closes the socket of the same browser.
func Example() {
	_ = func(t *testing.T) {
		b := bridgetest.New(t, nil)
		c := bridgetest.NewClient(t, b, newShop(b)) // the application's handler
		c.LogIn("ada")
		conn := c.Dial("/ws", nil)
		c.Post("/logout", "", "").Expect(http.StatusOK)
		conn.ExpectClose(bridge.CodeDestroyed)
	}
}

// A test of an expiry takes no time in a bubble.
func ExampleAdvance() {
	_ = func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := bridgetest.New(t, &bridge.Options{Lifetime: 8 * time.Hour})
			c := bridgetest.NewClient(t, b, newShop(b))
			c.LogIn("ada")
			conn := c.Dial("/ws", nil)
			bridgetest.Advance(8*time.Hour + time.Second)
			conn.ExpectClose(bridge.CodeExpired)
		})
	}
}
