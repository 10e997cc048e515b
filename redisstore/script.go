package redisstore

import (
	"context"
	"crypto/sha1" //nolint:gosec // Redis names scripts by it
	"embed"
	"encoding/hex"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

//go:embed lua/*.lua
var sources embed.FS

// script is a Lua script. It is called by its hash; a server that doesn't know it gets it whole: it has not run then, so that no change
// is ever sent twice.
type script struct {
	source, hash string
}

type scripts struct {
	set, touch, destroy, sweep, walk, find, tidy script
	newest, surplus                              script

	join, pulse, fetch, hold, bury, holders, everyone, send, announce, lock, reserve script // of nodes
}

func loadScripts() (s scripts, err error) {
	// What ends or extends a session works when the memory of Redis is full. What reads may not write.
	const free, reads = "#!lua flags=allow-oom", "#!lua flags=no-writes"
	for _, each := range []struct {
		to    *script
		first string
		parts string
	}{
		{&s.set, "#!lua", "common tree session nodes set"},
		{&s.touch, free, "common tree session touch"},
		{&s.destroy, free, "common tree nodes remove destroy"},
		{&s.sweep, free, "common tree session nodes remove sweep"},
		{&s.walk, reads, "common walk"},
		{&s.find, reads, "common find"},
		{&s.newest, reads, "common newest"},
		{&s.surplus, free, "common surplus"},
		{&s.tidy, free, "common tree tidy"},
		{&s.join, free, "common lease join"},
		{&s.pulse, free, "common lease inbox pulse"},
		{&s.fetch, free, "common inbox fetch"},
		{&s.hold, free, "common nodes lease hold"},
		{&s.bury, free, "common nodes lease bury"},
		{&s.holders, reads, "common nodes holders"},
		{&s.everyone, reads, "common nodes lease everyone"},
		{&s.send, free, "common nodes send"},
		{&s.announce, free, "common nodes announce"},
		{&s.lock, free, "common lease lock"},
		{&s.reserve, free, "common reserve"},
	} {
		if *each.to, err = loadScript(each.first, strings.Fields(each.parts)); err != nil {
			return s, err
		}
	}
	return s, nil
}

func loadScript(first string, parts []string) (script, error) {
	whole := []byte(first + "\n")
	for _, part := range parts {
		b, err := sources.ReadFile("lua/" + part + ".lua")
		if err != nil {
			return script{}, err
		}
		whole = append(whole, b...)
	}
	sum := sha1.Sum(whole) //nolint:gosec // likewise
	return script{string(whole), hex.EncodeToString(sum[:])}, nil
}

// call is one execution of a script, for one shard.
type call struct {
	script *script
	prefix string   // of the shard's keys, which the script adds its own endings to
	args   []string // after the prefix
}

// keys returns a key of the shard, which chooses the server, and one that never exists. While a cluster moves the slot of the shard to another server, each
// has a part of the keys; but it refuses what names several keys of which one isn't there (TRYAGAIN), before it is begun. So no script ever runs on
// half a shard.
func (c *call) keys() []string { return []string{c.prefix + byActivity, c.prefix + "-"} }

func (c *call) byHash(client rueidis.Client) rueidis.Completed {
	return client.B().Evalsha().Sha1(c.script.hash).Numkeys(2).Key(c.keys()...).Arg(c.prefix).Arg(c.args...).Build()
}

func (c *call) whole(client rueidis.Client) rueidis.Completed {
	return client.B().Eval().Script(c.script.source).Numkeys(2).Key(c.keys()...).Arg(c.prefix).Arg(c.args...).Build()
}

// retryAfter is how long a call waits before it asks again whether a slot has been moved.
const retryAfter = 20 * time.Millisecond

func (c *call) run(ctx context.Context, client rueidis.Client) rueidis.RedisResult {
	for {
		result := client.Do(ctx, c.byHash(client))
		if refused(result, (*rueidis.RedisError).IsNoScript) {
			result = client.Do(ctx, c.whole(client))
		}
		if !refused(result, (*rueidis.RedisError).IsTryAgain) {
			return result
		}
		select {
		case <-ctx.Done():
			return result
		case <-time.After(retryAfter):
		}
	}
}

// runAll runs the calls at once, pipelined: one round trip to each server.
func runAll(ctx context.Context, client rueidis.Client, calls []call) []rueidis.RedisResult {
	if len(calls) == 1 {
		return []rueidis.RedisResult{calls[0].run(ctx, client)}
	}
	commands := make([]rueidis.Completed, len(calls))
	for i := range calls {
		commands[i] = calls[i].byHash(client)
	}
	results := client.DoMulti(ctx, commands...)
	for i, result := range results {
		if refused(result, (*rueidis.RedisError).IsNoScript) || refused(result, (*rueidis.RedisError).IsTryAgain) {
			results[i] = calls[i].run(ctx, client) // by its hash again: the call before may have told the server
		}
	}
	return results
}

// refused reports whether the server has not begun, for that reason.
func refused(result rueidis.RedisResult, reason func(*rueidis.RedisError) bool) bool {
	err, ok := rueidis.IsRedisErr(result.Error())
	return ok && reason(err)
}
