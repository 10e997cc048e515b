package closing_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/closing"
)

// connection is a connection with its State. The cause of each close is its text.
type connection struct {
	closing.State[string]
	ctx   context.Context
	clock *clock.Clock
}

func open(t *testing.T) *connection {
	c := &connection{clock: clock.New()}
	t.Cleanup(c.clock.Close)
	c.ctx, c.Cancel = context.WithCancelCause(t.Context())
	return c
}

func (c *connection) begin(text string) bool    { return c.Begin(c.clock, text, errors.New(text)) }
func (c *connection) finish(text string) string { return c.Finish(c.clock, text, errors.New(text)) }

func TestTheFirstCloseCounts(t *testing.T) {
	c := open(t)
	require.False(t, c.Begun())
	require.True(t, c.begin("first"))
	require.False(t, c.begin("second"))
	require.True(t, c.Begun())
	require.Equal(t, "first", c.finish("lost"))
	require.EqualError(t, context.Cause(c.ctx), "first")

	lost := open(t)
	require.Equal(t, "lost", lost.finish("lost"))
	require.False(t, lost.begin("late"))
	require.Equal(t, "lost", lost.finish("again"))
	require.EqualError(t, context.Cause(lost.ctx), "lost")
}

func TestPostponedCloseIsPerformedAfterItsGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t)
		var performed atomic.Int32
		c.Postpone(c.clock, "login", false, time.Second, func() { performed.Add(1) })
		c.Postpone(c.clock, "other", true, time.Millisecond, func() { performed.Add(100) })
		_, ok := c.Pending(true)
		require.False(t, ok, "it doesn't wait for a read")
		pending, ok := c.Pending(false)
		require.True(t, ok)
		require.Equal(t, "login", pending)
		time.Sleep(time.Second - time.Nanosecond)
		require.Zero(t, performed.Load())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.EqualValues(t, 1, performed.Load())
		require.NoError(t, c.ctx.Err(), "a postponed close has not begun")
	})
}

func TestPostponedCloseIsFoundAtARead(t *testing.T) {
	c := open(t)
	_, ok := c.Pending(false)
	require.False(t, ok)
	c.Postpone(c.clock, "login", true, time.Hour, func() {})
	pending, ok := c.Pending(true)
	require.True(t, ok)
	require.Equal(t, "login", pending)
}

func TestCloseThatBeginsTakesThePlaceOfAPostponedOne(t *testing.T) {
	c := open(t)
	c.Postpone(c.clock, "login", false, time.Hour, func() {})
	require.Equal(t, 1, c.clock.Len())
	require.True(t, c.begin("destroyed"))
	require.Zero(t, c.clock.Len())
	c.Postpone(c.clock, "late", false, time.Hour, func() {})
	require.Zero(t, c.clock.Len())

	lost := open(t)
	lost.Postpone(lost.clock, "login", false, time.Hour, func() {})
	require.Equal(t, "lost", lost.finish("lost"))
	require.Zero(t, lost.clock.Len())
}
