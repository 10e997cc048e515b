package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// The plan of a session changes, from a job that has no request. The values that it had are gone.
func ExampleBridge_SetByID() {
	ctx := context.Background()
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(ctx) }()
	c, err := b.Create(ctx, bridge.NewSession{UserID: "ada", Data: map[string]any{"plan": "trial", "step": 3}})
	if err != nil {
		panic(err)
	}

	err = b.SetByID(ctx, c.SessionID, map[string]any{"plan": "pro"}, time.Hour) // 0 keeps the idle timeout
	fmt.Println(err)
	info, err := b.Info(ctx, c.SessionID)
	fmt.Println(info.UserID, info.Idle, err)
	s, err := b.GetByID(ctx, c.SessionID)
	_, hasStep := s.Get("step")
	fmt.Println(hasStep, err)

	_, err = b.DestroyByID(ctx, c.SessionID)
	fmt.Println(err)
	err = b.SetByID(ctx, c.SessionID, map[string]any{"plan": "pro"}, 0) // it doesn't create a session
	fmt.Println(errors.Is(err, bridge.ErrSessionMissing))
	// Output:
	// <nil>
	// ada 1h0m0s <nil>
	// false <nil>
	// <nil>
	// true
}

// A program that knows browsers by their client ID, because that outlives their sessions.
func ExampleBridge_UpdateByClientID() {
	ctx := context.Background()
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(ctx) }()
	c, err := b.Create(ctx, bridge.NewSession{Data: map[string]any{"cart": 1}})
	if err != nil {
		panic(err)
	}

	id, known := b.SessionIDOf(c.ClientID) // what this process has seen in use
	fmt.Println(known, id == c.SessionID)
	err = b.UpdateByClientID(ctx, c.ClientID, func(_ context.Context, s *bridge.Session) error {
		s.Set("coupon", "SPRING")
		return nil
	})
	fmt.Println(err)
	s, err := b.GetByClientID(ctx, c.ClientID)
	coupon, _ := s.Get("coupon")
	fmt.Println(coupon, err)
	existed, err := b.DestroyByClientID(ctx, c.ClientID)
	fmt.Println(existed, err)
	// Output:
	// true true
	// <nil>
	// SPRING <nil>
	// true <nil>
}
