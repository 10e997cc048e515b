package redisstore

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/sessionbridge/sessionbridge/store"
)

// engine is what a store and its Apps have in common.
type engine struct {
	client    rueidis.Client
	ours      bool // the client is to be closed with the store
	cached    bool // the client can keep what it reads, and is told of changes
	namespace string
	shards    int
	timeout   time.Duration
	replicas  int // to wait for
	scripts   scripts
	closed    atomic.Bool

	background *background
}

// ready returns why nothing may be begun: the store is closed, or the context has ended.
func (e *engine) ready(ctx context.Context, doing string) error {
	if e.closed.Load() {
		return store.ErrClosed
	}
	if ctx.Err() != nil {
		return fmt.Errorf("redisstore: %s: %w", doing, context.Cause(ctx))
	}
	return nil
}

// limited is a context for one round trip. It hides its deadline from the client, which would take a connection for itself, wait for
// no cancellation, and break the connection when the time is over, with whatever else is under way on it.
type limited struct{ context.Context }

func (limited) Deadline() (time.Time, bool) { return time.Time{}, false }

func (e *engine) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	return limited{ctx}, cancel
}

// run runs a script. The answer is nobody's but the caller's.
func (e *engine) run(ctx context.Context, doing string, c call) (rueidis.RedisMessage, error) {
	if err := e.ready(ctx, doing); err != nil {
		return rueidis.RedisMessage{}, err
	}
	limited, cancel := e.limit(ctx)
	defer cancel()
	answer, err := c.run(limited, e.client).ToMessage()
	return answer, e.explain(ctx, doing, err)
}

// runAll runs scripts at once. With an error it returns what the others have answered.
func (e *engine) runAll(ctx context.Context, doing string, calls []call) ([]rueidis.RedisMessage, error) {
	if err := e.ready(ctx, doing); err != nil {
		return nil, err
	}
	limited, cancel := e.limit(ctx)
	defer cancel()
	return e.answers(ctx, doing, runAll(limited, e.client, calls))
}

// doAll sends commands that only read, at once.
func (e *engine) doAll(ctx context.Context, doing string, commands []rueidis.Completed) ([]rueidis.RedisMessage, error) {
	if err := e.ready(ctx, doing); err != nil {
		return nil, err
	}
	limited, cancel := e.limit(ctx)
	defer cancel()
	return e.answers(ctx, doing, e.client.DoMulti(limited, commands...))
}

// answers returns the answers of those that succeeded, in order, and the first error of the others.
func (e *engine) answers(ctx context.Context, doing string, results []rueidis.RedisResult) (answers []rueidis.RedisMessage, failed error) {
	for _, result := range results {
		answer, err := result.ToMessage()
		if err == nil {
			answers = append(answers, answer)
		} else if failed == nil {
			failed = e.explain(ctx, doing, err)
		}
	}
	return answers, failed
}

// texts returns the elements of an answer; what is missing is "".
func texts(doing string, answer rueidis.RedisMessage) ([]string, error) {
	elements, err := answer.ToArray()
	if err != nil {
		return nil, damaged(doing, err)
	}
	out := make([]string, len(elements))
	for i := range elements {
		if elements[i].IsNil() {
			continue
		}
		if elements[i].IsInt64() {
			n, _ := elements[i].AsInt64()
			out[i] = strconv.FormatInt(n, 10)
		} else if out[i], err = elements[i].ToString(); err != nil {
			return nil, damaged(doing, err)
		}
	}
	return out, nil
}
