package admin

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/strictjson"
)

// sessionID returns the ID in the path. One that no session can have is that of a missing one.
func (c *call) sessionID() (string, error) {
	id := c.r.PathValue("id")
	if !isID(id) {
		return "", bridge.ErrSessionMissing
	}
	c.session = id
	return id, nil
}

// getSession describes a session, and is no activity of its user.
func (c *call) getSession() error {
	id, err := c.sessionID()
	if err != nil {
		return err
	}
	s, err := c.b.GetByID(c.ctx(), id)
	if err != nil {
		return err
	}
	return c.replySession(http.StatusOK, s)
}

// replySession answers with a session, and its revision as the ETag.
func (c *call) replySession(status int, s *bridge.Session) error {
	out, err := toJSON(s)
	if err != nil {
		return err
	}
	c.setETag(out.Revision)
	return c.reply(status, out)
}

// getData answers with the values alone.
func (c *call) getData() error {
	id, err := c.sessionID()
	if err != nil {
		return err
	}
	known, err := c.tags("If-None-Match")
	if err != nil {
		return err
	}
	s, err := c.b.GetByID(c.ctx(), id)
	if err != nil {
		return err
	}
	revision := s.Info().Revision
	c.setETag(revision)
	if known.given && known.check(revision) == nil {
		c.writeHeader(http.StatusNotModified)
		return nil
	}
	data, err := dataOf(s)
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, data)
}

// update runs change on the session in the path if If-Match holds, and answers with the session as
// it is stored then. A concurrent change has the condition checked again.
func (c *call) update(change func(s *bridge.Session)) error {
	id, err := c.sessionID()
	if err != nil {
		return err
	}
	cond, err := c.ifMatch()
	if err != nil {
		return err
	}
	var changed *bridge.Session
	err = c.b.UpdateByID(c.ctx(), id, func(_ context.Context, s *bridge.Session) error {
		changed = s
		if err := cond.check(s.Info().Revision); err != nil {
			return err
		}
		change(s)
		return nil
	})
	if err != nil {
		return err
	}
	return c.replySession(http.StatusOK, changed)
}

// replaceData replaces all values, flashes included.
func (c *call) replaceData() error {
	data, err := c.object()
	if err != nil {
		return err
	}
	return c.update(func(s *bridge.Session) {
		s.Clear()
		for key, raw := range data {
			s.Set(key, raw)
		}
	})
}

// patchData applies a merge patch (RFC 7396) to the values: null deletes a key.
func (c *call) patchData() error {
	patch, err := c.object("application/merge-patch+json")
	if err != nil {
		return err
	}
	return c.update(func(s *bridge.Session) {
		for key, change := range patch {
			if string(change) == "null" {
				s.Delete(key)
				continue
			}
			old, _ := bridge.NewKey[json.RawMessage](key).Get(s)
			s.Set(key, strictjson.Merge(old, change))
		}
	})
}

// object reads a body that is an object of any members.
func (c *call) object(types ...string) (map[string]json.RawMessage, error) {
	o, err := c.body(false, types...)
	if err != nil {
		return nil, err
	}
	return o.All(), nil
}

// setTTL changes the timeouts of the session.
func (c *call) setTTL() error {
	in, err := c.body(false)
	if err != nil {
		return err
	}
	idle, lifetime := secondsOrNull(in, "idle"), secondsOrNull(in, "lifetime")
	if !in.Has("idle") && !in.Has("lifetime") {
		in.Fail("idle", "it or lifetime is required")
	}
	if err := in.Err(); err != nil {
		return err
	}
	return c.update(func(s *bridge.Session) {
		if idle != 0 {
			s.SetIdleTimeout(idle)
		}
		if lifetime != 0 {
			s.SetLifetime(lifetime)
		}
	})
}

// touchSession restarts the idle timeout, as the user's activity does.
func (c *call) touchSession() error {
	id, err := c.sessionID()
	if err != nil {
		return err
	}
	if err := c.noBody(); err != nil {
		return err
	}
	if err := c.b.TouchByID(c.ctx(), id); err != nil {
		return err
	}
	return c.noContent()
}

// destroySession ends the session, if If-Match holds.
func (c *call) destroySession() error {
	id, err := c.sessionID()
	if err != nil {
		return err
	}
	if err := c.noBody(); err != nil {
		return err
	}
	cond, err := c.ifMatch()
	if err != nil {
		return err
	}
	if cond.given {
		err = c.b.UpdateByID(c.ctx(), id, func(_ context.Context, s *bridge.Session) error {
			if err := cond.check(s.Info().Revision); err != nil {
				return err
			}
			s.Destroy()
			return nil
		})
	} else {
		var existed bool
		if existed, err = c.b.DestroyByID(c.ctx(), id); err == nil && !existed {
			err = bridge.ErrSessionMissing
		}
	}
	if err != nil {
		return err
	}
	return c.noContent()
}
