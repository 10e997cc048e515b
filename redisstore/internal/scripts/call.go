package scripts

import (
	"context"
	"time"

	"github.com/redis/rueidis"
)

// Call is one execution of a script on one shard.
type Call struct {
	script *Script
	prefix string
	args   []string
}

// On returns a call of the script for the shard with the key prefix. The prefix is the first
// argument of every script, args are the others.
func (s *Script) On(prefix string, args ...string) Call { return Call{s, prefix, args} }

// keys returns a key of the shard, which selects the server, and one that never exists. While a
// slot of a cluster is being moved, each of two servers has some of its keys; a server then rejects
// a command with several keys of which one is missing (TRYAGAIN) without executing it. The second
// key makes it do so always, so that no script runs on a part of a shard.
func (c *Call) keys() []string { return []string{c.prefix + ByActivity, c.prefix + "-"} }

func (c *Call) byHash(client rueidis.Client) rueidis.Completed {
	return client.B().Evalsha().Sha1(c.script.hash).Numkeys(2).Key(c.keys()...).Arg(c.prefix).Arg(c.args...).Build()
}

func (c *Call) bySource(client rueidis.Client) rueidis.Completed {
	return client.B().Eval().Script(c.script.source).Numkeys(2).Key(c.keys()...).Arg(c.prefix).Arg(c.args...).Build()
}

// retryAfter is the time between two attempts while a slot is being moved.
const retryAfter = 20 * time.Millisecond

// Run executes the call. While the slot of the shard is being moved it retries until ctx ends.
func (c *Call) Run(ctx context.Context, client rueidis.Client) rueidis.RedisResult {
	for {
		result := client.Do(ctx, c.byHash(client))
		if rejected(result, (*rueidis.RedisError).IsNoScript) {
			result = client.Do(ctx, c.bySource(client))
		}
		if !rejected(result, (*rueidis.RedisError).IsTryAgain) {
			return result
		}
		select {
		case <-ctx.Done():
			return result
		case <-time.After(retryAfter):
		}
	}
}

// RunAll executes the calls concurrently, pipelined: one round trip to each server.
func RunAll(ctx context.Context, client rueidis.Client, calls []Call) []rueidis.RedisResult {
	if len(calls) == 1 {
		return []rueidis.RedisResult{calls[0].Run(ctx, client)}
	}
	commands := make([]rueidis.Completed, len(calls))
	for i := range calls {
		commands[i] = calls[i].byHash(client)
	}
	results := client.DoMulti(ctx, commands...)
	for i, result := range results {
		if rejected(result, (*rueidis.RedisError).IsNoScript) || rejected(result, (*rueidis.RedisError).IsTryAgain) {
			results[i] = calls[i].Run(ctx, client) // by hash: an earlier call may have loaded the script
		}
	}
	return results
}

// rejected reports whether the server has not executed a command, for the given reason.
func rejected(result rueidis.RedisResult, reason func(*rueidis.RedisError) bool) bool {
	err, ok := rueidis.IsRedisErr(result.Error())
	return ok && reason(err)
}
