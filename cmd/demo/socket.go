package main

import (
	"context"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// socketAnswer is an answer with additional fields for sockets.
type socketAnswer struct {
	answer
	ConnID  string   `json:"connId"`
	Devices []device `json:"devices,omitempty"` // in the answer to get; later changes are events
}

// serveSocket answers messages until the connection ends: one answer, with an "ok", for each
// message. Messages of the feed in between have an "event" instead.
func (a *app) serveSocket(ctx context.Context, c *bridge.Conn) error {
	for {
		_, data, err := c.Read(ctx)
		if err != nil {
			return err
		}
		reply, err := a.answer(ctx, c, data)
		if err != nil {
			reply, _ = failureOf(err)
		}
		if err := c.WriteJSON(ctx, reply); err != nil {
			return err
		}
	}
}

// answer executes a message.
func (a *app) answer(ctx context.Context, c *bridge.Conn, data []byte) (any, error) {
	do, what, err := parseMessage(data)
	if err != nil {
		return nil, err
	}
	reply := socketAnswer{ConnID: c.ID()}
	if do == "logout" {
		reply.answer = answer{true, noSession(c.ClientID())}
		return reply, logout(ctx, c)
	}
	now, err := apply(ctx, c, what)
	reply.answer = answer{true, now}
	if err == nil && do == "get" {
		reply.Devices, err = a.devices(ctx, now.owner())
	}
	return reply, err
}
