package conn

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/sessionbridge/sessionbridge/redisstore/internal/scripts"
	"github.com/sessionbridge/sessionbridge/store"
)

// Conn executes commands with a client. It is safe for concurrent use.
type Conn struct {
	Client   rueidis.Client
	Timeout  time.Duration // of one round trip
	Replicas int           // that WaitForReplicas waits for

	closed atomic.Bool
}

// Close fails all operations from now on with store.ErrClosed. It returns false if Conn was closed
// before. The client stays open.
func (c *Conn) Close() bool { return !c.closed.Swap(true) }

// Ready returns an error if no operation may begin: the store is closed, or the context has ended.
func (c *Conn) Ready(ctx context.Context, doing string) error {
	if c.closed.Load() {
		return store.ErrClosed
	}
	if ctx.Err() != nil {
		return fmt.Errorf("redisstore: %s: %w", doing, context.Cause(ctx))
	}
	return nil
}

// noDeadline hides the deadline of a context from the client. For a context with a deadline the
// client would use a connection exclusively, ignore cancellation, and close the connection at the
// deadline, with all other commands that are pending on it.
type noDeadline struct{ context.Context }

func (noDeadline) Deadline() (time.Time, bool) { return time.Time{}, false }

// NoDeadline returns a context that ends with ctx and reports no deadline.
func NoDeadline(ctx context.Context) context.Context { return noDeadline{ctx} }

// Limit returns a context for one round trip.
func (c *Conn) Limit(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	return noDeadline{ctx}, cancel
}

// Run executes a script. doing names the operation in errors.
func (c *Conn) Run(ctx context.Context, doing string, call scripts.Call) (rueidis.RedisMessage, error) {
	if err := c.Ready(ctx, doing); err != nil {
		return rueidis.RedisMessage{}, err
	}
	limited, cancel := c.Limit(ctx)
	defer cancel()
	reply, err := call.Run(limited, c.Client).ToMessage()
	return reply, c.Explain(ctx, doing, err)
}

// RunInt executes a script that returns a number.
func (c *Conn) RunInt(ctx context.Context, doing string, call scripts.Call) (int64, error) {
	reply, err := c.Run(ctx, doing, call)
	if err != nil {
		return 0, err
	}
	n, err := reply.AsInt64()
	if err != nil {
		return 0, Damaged(doing, err)
	}
	return n, nil
}

// RunAll executes scripts concurrently. With an error it returns the replies of those that
// succeeded.
func (c *Conn) RunAll(ctx context.Context, doing string, calls []scripts.Call) ([]rueidis.RedisMessage, error) {
	if err := c.Ready(ctx, doing); err != nil {
		return nil, err
	}
	limited, cancel := c.Limit(ctx)
	defer cancel()
	return c.replies(ctx, doing, scripts.RunAll(limited, c.Client, calls))
}

// DoAll executes read-only commands concurrently.
func (c *Conn) DoAll(ctx context.Context, doing string, commands []rueidis.Completed) ([]rueidis.RedisMessage, error) {
	if err := c.Ready(ctx, doing); err != nil {
		return nil, err
	}
	limited, cancel := c.Limit(ctx)
	defer cancel()
	return c.replies(ctx, doing, c.Client.DoMulti(limited, commands...))
}

// replies returns the replies of the commands that succeeded, in order, and the first error of the
// others.
func (c *Conn) replies(
	ctx context.Context, doing string, results []rueidis.RedisResult,
) (replies []rueidis.RedisMessage, failed error) {
	for _, result := range results {
		reply, err := result.ToMessage()
		if err == nil {
			replies = append(replies, reply)
		} else if failed == nil {
			failed = c.Explain(ctx, doing, err)
		}
	}
	return replies, failed
}
