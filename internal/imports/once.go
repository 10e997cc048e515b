package imports

import (
	"context"
	"errors"
)

// State is what has become of a session of another library.
type State int

// The states.
const (
	None     State = iota // it doesn't exist, or could not be imported
	Imported              // by this call
	Known                 // before, by this process or another one
)

// Import imports the session that s presents, unless that has begun before. save stores it under the
// ID, with a context that lasts when ctx ends, because the claim is made once; stored is false if
// nothing can have been stored: then another call may import the session. The error is that of
// Begin, of Source.Read, or of save.
func (c *Claims) Import(
	ctx context.Context, s *Source, id string, save func(ctx context.Context, from *Foreign) (stored bool, err error),
) (state State, err error) {
	known, err := c.Known(ctx, id)
	if err != nil {
		return None, err
	}
	var from *Foreign
	if !known { // a client can invent keys: nothing is written for one
		if from, err = s.Read(ctx); from == nil {
			return None, err
		}
	}
	if first, err := c.Begin(ctx, id); !first {
		return Known, err
	}
	ctx = context.WithoutCancel(ctx)
	stored := false // also after a panic
	defer func() {
		if !stored {
			err = errors.Join(err, c.Abort(ctx, id))
		}
	}()
	if from == nil {
		if from, err = s.Read(ctx); from == nil {
			return None, err
		}
	}
	if stored, err = save(ctx, from); err != nil || !stored {
		return None, err
	}
	if err := c.Finish(ctx, id); err != nil {
		c.failed(ctx, "record the import of a session", id, err)
	}
	if s.Done != nil {
		limited, cancel := context.WithTimeout(ctx, c.timeout)
		defer cancel()
		if err := s.Done(limited); err != nil {
			c.failed(ctx, "finish the import of a session in its library", id, err)
		}
	}
	return Imported, nil
}
