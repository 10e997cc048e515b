package scripts

import (
	"crypto/sha1" //nolint:gosec // Redis identifies scripts by SHA-1
	"embed"
	"encoding/hex"
	"strings"
	"sync"
)

//go:embed lua/*.lua
var sources embed.FS

// The indexes of a shard, as they are called in keys.
const (
	ByExpiry   = "e"
	ByActivity = "a"
	ByUser     = "u"
	ByClient   = "c"
)

// BeganSize is the size of the prefix of a member of the index by client: the time at which its
// session began.
const BeganSize = 6

// Script is a Lua script.
type Script struct{ source, hash string }

// Scripts are all scripts. Each has its arguments and results documented in its source.
type Scripts struct {
	Create, Set, Touch, Destroy, EndAll, Sweep, Walk, Find, Tidy, Newest, Surplus Script

	// Of nodes.
	Join, Pulse, Fetch, Hold, Deregister, Holders, Everyone, Send, Announce, Lock, Reserve Script

	// Of messages that are kept.
	Keep, Kept Script
}

// Load returns the scripts, which are the same for every store.
func Load() (*Scripts, error) { return loadOnce() }

var loadOnce = sync.OnceValues(loadAll)

func loadAll() (*Scripts, error) {
	// Scripts that end or extend sessions must work when the memory of Redis is full.
	const write, allowOOM, readOnly = "#!lua", "#!lua flags=allow-oom", "#!lua flags=no-writes"
	s := &Scripts{}
	for _, each := range []struct {
		to    *Script
		flags string
		parts string
	}{
		{&s.Create, write, "common pages insert nodes create"},
		{&s.Set, write, "common update pages insert delete session nodes set"},
		{&s.Touch, allowOOM, "common pages insert delete session touch"},
		{&s.Destroy, allowOOM, "common pages delete nodes ended remove destroy"},
		{&s.EndAll, allowOOM, "common nodes ended endall"},
		{&s.Sweep, allowOOM, "common pages insert delete session nodes ended remove sweep"},
		{&s.Walk, readOnly, "common walk"},
		{&s.Find, readOnly, "common find"},
		{&s.Newest, readOnly, "common newest"},
		{&s.Surplus, allowOOM, "common surplus"},
		{&s.Tidy, allowOOM, "common pages delete tidy"},
		{&s.Join, allowOOM, "common lease join"},
		{&s.Pulse, allowOOM, "common lease inbox pulse"},
		{&s.Fetch, allowOOM, "common inbox fetch"},
		{&s.Hold, allowOOM, "common nodes lease hold"},
		{&s.Deregister, allowOOM, "common nodes lease deregister"},
		{&s.Holders, readOnly, "common nodes holders"},
		{&s.Everyone, readOnly, "common nodes lease everyone"},
		{&s.Send, allowOOM, "common nodes send"},
		{&s.Announce, allowOOM, "common nodes announce"},
		{&s.Lock, allowOOM, "common lease lock"},
		{&s.Reserve, allowOOM, "common reserve"},
		{&s.Keep, write, "common nodes mailbox keep"},
		{&s.Kept, allowOOM, "common mailbox kept"},
	} {
		var err error
		if *each.to, err = load(each.flags, strings.Fields(each.parts)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func load(flags string, parts []string) (Script, error) {
	source := []byte(flags + "\n")
	for _, part := range parts {
		b, err := sources.ReadFile("lua/" + part + ".lua")
		if err != nil {
			return Script{}, err
		}
		source = append(source, b...)
	}
	return newScript(string(source)), nil
}

func newScript(source string) Script {
	sum := sha1.Sum([]byte(source)) //nolint:gosec // see above
	return Script{source, hex.EncodeToString(sum[:])}
}
