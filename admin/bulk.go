package admin

import (
	"errors"
	"net/http"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// maxExcept is how many sessions may be kept by destroyUser.
const maxExcept = 1000

// ended is the answer of a call that ends sessions.
type ended struct {
	Ended int `json:"ended"`
}

func (c *call) replyEnded(n int) error { return c.reply(http.StatusOK, ended{c.count(n)}) }

// destroyUser ends the sessions of a user, except some: "sign out my other devices".
func (c *call) destroyUser() error {
	in, err := c.body(false)
	if err != nil {
		return err
	}
	user, except := requireUser(in, "user"), ids(in, "except", maxExcept)
	if err := in.Err(); err != nil {
		return err
	}
	n, err := c.b.DestroyUser(c.ctx(), user, except...)
	if err != nil {
		return err
	}
	return c.replyEnded(n)
}

// destroyAll ends every session of the app.
func (c *call) destroyAll() error {
	if err := c.noBody(); err != nil {
		return err
	}
	n, err := c.b.DestroyAll(c.ctx())
	if err != nil {
		return err
	}
	return c.replyEnded(n)
}

// sweepSessions ends the sessions that are older than a time, or haven't been used for one.
func (c *call) sweepSessions() error {
	in, err := c.body(false)
	if err != nil {
		return err
	}
	olderThan, unusedFor := seconds(in, "olderThan"), seconds(in, "unusedFor")
	if !in.Has("olderThan") && !in.Has("unusedFor") {
		in.Fail("olderThan", "it or unusedFor is required")
	}
	if err := in.Err(); err != nil {
		return err
	}
	now, n := time.Now(), 0
	for info, err := range c.b.Sessions(c.ctx(), bridge.Filter{}) {
		if err != nil {
			c.count(n)
			return err
		}
		if (olderThan == 0 || now.Sub(info.Created) < olderThan) && (unusedFor == 0 || now.Sub(info.Seen) < unusedFor) {
			continue
		}
		existed, err := c.b.DestroyByID(c.ctx(), info.ID)
		if err != nil {
			c.count(n)
			return err
		}
		if existed {
			n++
		}
	}
	return c.replyEnded(n)
}

// cleanup removes sessions that have expired, which the Bridge also does by itself.
func (c *call) cleanup() error {
	if err := c.noBody(); err != nil {
		return err
	}
	n, err := c.b.Cleanup(c.ctx())
	if err != nil {
		return err
	}
	return c.replyEnded(n)
}

// complete reports whether every node has answered, and returns any other error.
func complete(err error) (bool, error) {
	if errors.Is(err, bridge.ErrNodeSilent) && !errors.Is(err, bridge.ErrStoreUnavailable) {
		return false, nil
	}
	return err == nil, err
}
