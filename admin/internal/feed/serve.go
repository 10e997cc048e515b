package feed

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sessionbridge/sessionbridge/admin/internal/eventjson"
	"github.com/sessionbridge/sessionbridge/bridge"
)

const (
	beat      = 15 * time.Second // between two signs of life; proxies often close after 30 s or 60 s of silence
	writeWait = 10 * time.Second // for one write
	batch     = 256              // events of one write
)

// FromStart is a Last-Event-ID with which a client gets all that the Feed remembers.
const FromStart = "start"

// Serve sends the events that the filter selects as server-sent events, as long as the client
// reads: those after the request's Last-Event-ID, or from now on. An event has its type as its
// name and the JSON of package eventjson as its data.
func (f *Feed) Serve(w http.ResponseWriter, r *http.Request, filter eventjson.Filter) {
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx holds back what it takes for a page
	s := &stream{feed: f, filter: filter, rc: http.NewResponseController(w), w: w}
	s.begin(r.Header.Get("Last-Event-ID"))
	defer s.rc.SetWriteDeadline(time.Time{}) //nolint:errcheck // the connection may be gone
	for s.next(r.Context()) {
	}
}

// stream is what one client receives.
type stream struct {
	feed   *Feed
	filter eventjson.Filter
	rc     *http.ResponseController
	w      http.ResponseWriter

	at     uint64 // the number of the last event that was looked at
	gap    bool   // the client misses events; how many is not known
	buffer bytes.Buffer
}

// begin finds the place from which the client goes on.
func (s *stream) begin(lastID string) {
	s.at = s.feed.Last()
	s.buffer.WriteString(": connected\n\n") // so that the headers arrive
	switch lastID {
	case "":
		return
	case FromStart:
		s.at = s.feed.BeforeFirst()
		return
	}
	name, number, _ := strings.Cut(lastID, "-")
	n, err := strconv.ParseUint(number, 10, 64)
	if s.gap = name != s.feed.name || err != nil || n > s.at; !s.gap {
		s.at = n
	}
}

// next sends what there is, or waits for it. It returns false when the stream is over.
func (s *stream) next(ctx context.Context) bool {
	items, gap, changed := s.feed.Since(s.at, batch)
	if gap || s.gap {
		s.gap = false
		s.write(Item{s.at, time.Now(), bridge.Missed{}})
	}
	for _, item := range items {
		s.at = item.Number
		if s.filter.Match(item.Event) {
			s.write(item)
		}
	}
	switch {
	case !s.flush():
		return false
	case len(items) > 0:
		return true
	case changed == nil:
		return false
	}
	quiet := time.NewTimer(beat)
	defer quiet.Stop()
	select {
	case <-changed:
	case <-quiet.C:
		// With the place in the feed, so that a client whose filter selects little needn't look far back.
		fmt.Fprintf(&s.buffer, "id: %s-%d\n\n", s.feed.name, s.at)
	case <-ctx.Done():
		return false
	}
	return true
}

func (s *stream) write(item Item) {
	name, data := eventjson.Marshal(item.At, item.Event)
	fmt.Fprintf(&s.buffer, "id: %s-%d\nevent: %s\ndata: %s\n\n", s.feed.name, item.Number, name, data)
}

func (s *stream) flush() bool {
	if s.buffer.Len() == 0 {
		return true
	}
	_ = s.rc.SetWriteDeadline(time.Now().Add(writeWait)) // not every ResponseWriter has one
	_, err := s.w.Write(s.buffer.Bytes())
	s.buffer.Reset()
	return err == nil && s.rc.Flush() == nil
}
