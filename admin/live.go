package admin

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sessionbridge/sessionbridge/admin/internal/eventjson"
	"github.com/sessionbridge/sessionbridge/admin/internal/feed"
	"github.com/sessionbridge/sessionbridge/admin/internal/series"
	"github.com/sessionbridge/sessionbridge/bridge"
)

const (
	eventsKept  = 4096 // by a feed: at most a few MB
	sampleEvery = 5 * time.Second
	samplesKept = 720 // an hour
)

// live is what the API remembers of an app. It ends when the Bridge is shut down.
type live struct {
	feed   *feed.Feed
	series *series.Series
}

func newLive(b *bridge.Bridge) live {
	return live{
		feed:   feed.New(b, eventsKept),
		series: series.Start(b, series.Config{Every: sampleEvery, Keep: samplesKept}),
	}
}

// liveOf starts to remember what happens in each app.
func liveOf(apps map[string]*bridge.Bridge) map[string]live {
	all := make(map[string]live, len(apps))
	for name, b := range apps {
		all[name] = newLive(b)
	}
	return all
}

// streamEvents sends the events of the app as server-sent events, as long as the client reads.
func (c *call) streamEvents() error {
	f := eventjson.Filter{SessionID: c.params["session"], ClientID: c.params["client"]}
	for _, field := range []string{"session", "client"} {
		if id, ok := c.params[field]; ok && !isID(id) {
			return badField(field, "it must be a UUID in lower case")
		}
	}
	if text, ok := c.params["type"]; ok {
		f.Types = strings.Split(text, ",")
		for _, name := range f.Types {
			if !slices.Contains(eventjson.Types(), name) {
				return badField("type", fmt.Sprintf("it must be a list of: %s", strings.Join(eventjson.Types(), ", ")))
			}
		}
	}
	ctx, cancel := context.WithCancel(c.ctx())
	defer cancel()
	defer context.AfterFunc(c.api.streams, cancel)()
	c.status = http.StatusOK
	c.api.live[c.app].feed.Serve(c.w, c.r.WithContext(ctx), f)
	return nil
}

// getSeries answers with what was measured in the last hour.
func (c *call) getSeries() error {
	var after time.Time
	if text, ok := c.params["after"]; ok {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds < 0 || strings.HasPrefix(text, "+") {
			return badField("after", "it must be a number of seconds since 1970")
		}
		after = time.Unix(seconds, int64(time.Second-1)) // a sample has whole seconds
	}
	return c.reply(http.StatusOK, c.api.live[c.app].series.After(after))
}
