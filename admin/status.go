package admin

import (
	"maps"
	"net/http"
	"slices"
	"time"
)

// listApps names the apps that the key is for.
func (c *call) listApps() error {
	names := slices.Sorted(maps.Keys(c.api.opts.apps))
	names = slices.DeleteFunc(names, func(name string) bool { return !c.key.isFor(name) })
	return c.reply(http.StatusOK, map[string][]string{"apps": names})
}

// ping asks the store whether it answers.
func (c *call) ping() error {
	if err := c.b.Ping(c.ctx()); err != nil {
		return err
	}
	return c.reply(http.StatusOK, map[string]bool{"ok": true})
}

// health says whether the app can work: the store answers, and the nodes hear each other.
func (c *call) health() error {
	if err := c.b.Ping(c.ctx()); err != nil {
		return err
	}
	return c.reply(http.StatusOK, map[string]bool{"store": true, "nodes": c.b.Stats().Healthy})
}

// statsJSON is a bridge.Stats, whose fields it has.
type statsJSON struct {
	Conns             int    `json:"conns"`
	Users             int    `json:"users"`
	Attached          int    `json:"attached"`
	Healthy           bool   `json:"healthy"`
	Writes            uint64 `json:"writes"`
	Touches           uint64 `json:"touches"`
	Conflicts         uint64 `json:"conflicts"`
	Reruns            uint64 `json:"reruns"`
	Expired           uint64 `json:"expired"`
	StoreErrors       uint64 `json:"storeErrors"`
	FailedCommits     uint64 `json:"failedCommits"`
	RefusedCommits    uint64 `json:"refusedCommits"`
	Refused           uint64 `json:"refused"`
	Mismatches        uint64 `json:"mismatches"`
	ClosedWrites      uint64 `json:"closedWrites"`
	SaveFailures      uint64 `json:"saveFailures"`
	Overloaded        uint64 `json:"overloaded"`
	RateLimited       uint64 `json:"rateLimited"`
	TooManyConns      uint64 `json:"tooManyConns"`
	TooFast           uint64 `json:"tooFast"`
	TooSlow           uint64 `json:"tooSlow"`
	TooLarge          uint64 `json:"tooLarge"`
	EventsDropped     uint64 `json:"eventsDropped"`
	NotifyDropped     uint64 `json:"notifyDropped"`
	RejectionsDropped uint64 `json:"rejectionsDropped"`
}

// stats answers with the counters of this process.
func (c *call) stats() error {
	return c.reply(http.StatusOK, statsJSON(c.b.Stats()))
}

// nodeJSON is a bridge.NodeInfo.
type nodeJSON struct {
	Node    string    `json:"node,omitempty"` // absent for this process
	Started time.Time `json:"started"`
	Stats   statsJSON `json:"stats"`
}

// nodesJSON lists nodes.
type nodesJSON struct {
	Nodes    []nodeJSON `json:"nodes"`
	Complete bool       `json:"complete"`
}

// nodes lists this process and the others on the store.
func (c *call) nodes() error {
	var out nodesJSON
	for info, err := range c.b.Nodes(c.ctx()) {
		all, err := complete(err)
		if err != nil {
			return err
		}
		if out.Complete = all; all {
			out.Nodes = append(out.Nodes, nodeJSON{info.Node, info.StartedAt, statsJSON(info.Stats)})
		}
	}
	return c.reply(http.StatusOK, out)
}

// activityJSON is a bridge.Activity.
type activityJSON struct {
	Users    int  `json:"users"`
	Sessions int  `json:"sessions"`
	Conns    int  `json:"conns"`
	Complete bool `json:"complete"`
}

// activity counts what was active within a time.
func (c *call) activity() error {
	within, err := querySeconds(c.params, "within")
	if err != nil {
		return err
	}
	if within == 0 {
		return badField("within", "it is required")
	}
	n, err := c.b.Activity(c.ctx(), within)
	all, err := complete(err)
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, activityJSON{n.Users, n.Sessions, n.Conns, all})
}
