package soak_test

import (
	"context"
	"encoding/json"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// killIdle is the idle timeout of a session that is to expire soon.
const killIdle = 400 * time.Millisecond

// farmQuestions are the operations of a node that don't concern the request's own session. Their
// arguments are the subject and a text. They return a number.
var farmQuestions = map[string]func(ctx context.Context, b *bridge.Bridge, of, text string) (int, error){
	"notify session": func(ctx context.Context, b *bridge.Bridge, of, text string) (int, error) {
		return b.Notify(ctx, bridge.To{SessionID: of}, killNote(text))
	},
	"notify user": func(ctx context.Context, b *bridge.Bridge, of, text string) (int, error) {
		return b.Notify(ctx, bridge.To{UserID: of}, killNote(text))
	},
	"keep session": func(ctx context.Context, b *bridge.Bridge, of, text string) (int, error) {
		return 0, b.NotifyKept(ctx, bridge.To{SessionID: of}, time.Hour, []byte(text))
	},
	"keep user": func(ctx context.Context, b *bridge.Bridge, of, text string) (int, error) {
		return 0, b.NotifyKept(ctx, bridge.To{UserID: of}, time.Hour, []byte(text))
	},
	"destroy user": func(ctx context.Context, b *bridge.Bridge, of, _ string) (int, error) { return b.DestroyUser(ctx, of) },
	"destroy session": func(ctx context.Context, b *bridge.Bridge, of, _ string) (int, error) {
		was, err := b.DestroyByID(ctx, of)
		if was {
			return 1, err
		}
		return 0, err
	},
	"cleanup": func(ctx context.Context, b *bridge.Bridge, _, _ string) (int, error) { return b.Cleanup(ctx) },
	"conns":   func(ctx context.Context, b *bridge.Bridge, _, _ string) (int, error) { return killConns(ctx, b) },
	"activity": func(ctx context.Context, b *bridge.Bridge, _, _ string) (int, error) {
		a, err := b.Activity(ctx, time.Hour)
		return a.Conns, err
	},
}

// killNote is a message that a client can distinguish from an answer.
func killNote(text string) []byte {
	note, _ := json.Marshal(farmView{Word: "note", ID: text}) // never fails
	return note
}

// killConns counts all connections that have a session.
func killConns(ctx context.Context, b *bridge.Bridge) (n int, err error) {
	for info, err := range b.Conns(ctx, bridge.ConnFilter{}) {
		if err != nil {
			return n, err
		}
		if info.SessionID != "" {
			n++
		}
	}
	return n, nil
}
