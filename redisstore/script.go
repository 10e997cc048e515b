package redisstore

import (
	"context"
	"crypto/sha1" //nolint:gosec // Redis names scripts by it
	"embed"
	"encoding/hex"
	"strings"

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
}

func loadScripts() (s scripts, err error) {
	// What ends or extends a session works when the memory of Redis is full. What reads may not write.
	const free, reads = "#!lua flags=allow-oom", "#!lua flags=no-writes"
	for _, each := range []struct {
		to    *script
		first string
		parts string
	}{
		{&s.set, "#!lua", "common tree session set"},
		{&s.touch, free, "common tree session touch"},
		{&s.destroy, free, "common tree session destroy"},
		{&s.sweep, free, "common tree session sweep"},
		{&s.walk, reads, "common walk"},
		{&s.find, reads, "common find"},
		{&s.tidy, free, "common tree tidy"},
	} {
		if *each.to, err = loadScript(each.first, strings.Fields(each.parts)); err != nil {
			return s, err
		}
	}
	return s, nil
}

func loadScript(first string, parts []string) (script, error) {
	source := first + "\n"
	for _, part := range parts {
		b, err := sources.ReadFile("lua/" + part + ".lua")
		if err != nil {
			return script{}, err
		}
		source += string(b)
	}
	sum := sha1.Sum([]byte(source)) //nolint:gosec // likewise
	return script{source, hex.EncodeToString(sum[:])}, nil
}

// call is one execution of a script. All keys that it uses are in the slot of the given one.
type call struct {
	script *script
	key    string
	args   []string
}

func (c *call) byHash(client rueidis.Client) rueidis.Completed {
	return client.B().Evalsha().Sha1(c.script.hash).Numkeys(1).Key(c.key).Arg(c.args...).Build()
}

func (c *call) whole(client rueidis.Client) rueidis.Completed {
	return client.B().Eval().Script(c.script.source).Numkeys(1).Key(c.key).Arg(c.args...).Build()
}

func (c *call) run(ctx context.Context, client rueidis.Client) rueidis.RedisResult {
	result := client.Do(ctx, c.byHash(client))
	if unknownScript(result) {
		result = client.Do(ctx, c.whole(client))
	}
	return result
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
		if unknownScript(result) {
			results[i] = calls[i].run(ctx, client) // by its hash again: the call before has told a server of several
		}
	}
	return results
}

func unknownScript(result rueidis.RedisResult) bool {
	err, ok := rueidis.IsRedisErr(result.Error())
	return ok && err.IsNoScript()
}
