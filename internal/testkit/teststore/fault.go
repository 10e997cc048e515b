package teststore

import (
	"context"
)

// Fault replaces a call of a store. It may make the call.
type Fault func(ctx context.Context, call func() error) error

// Refuse returns err and doesn't make the call.
func Refuse(err error) Fault { return func(context.Context, func() error) error { return err } }

// LoseReply makes the call and returns err nevertheless: the outcome is unknown to the caller.
func LoseReply(err error) Fault {
	return func(_ context.Context, call func() error) error {
		_ = call()
		return err
	}
}

// Hang doesn't return before the context ends.
func Hang(ctx context.Context, _ func() error) error {
	<-ctx.Done()
	return ctx.Err()
}

// Gate blocks calls until Opened is closed. Reached receives a value for each call that arrives.
type Gate struct{ Reached, Opened chan struct{} }

// NewGate returns a closed gate, which up to 100 calls can reach.
func NewGate() *Gate { return &Gate{make(chan struct{}, 100), make(chan struct{})} }

// Wait is a Fault that makes the call once the gate is open.
func (g *Gate) Wait(_ context.Context, call func() error) error {
	g.Reached <- struct{}{}
	<-g.Opened
	return call()
}
