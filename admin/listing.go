package admin

import (
	"bufio"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/strictjson"
)

const (
	pageSize = 100       // of a list, unless the caller says otherwise
	maxPage  = 1_000_000 // 0 is all
)

// page is which part of a list of sessions is wanted.
type page struct {
	limit  int // 0: all
	cursor string
	after  position
}

// listSessions lists all sessions, the last active first.
func (c *call) listSessions() error {
	var f bridge.Filter
	var err error
	if f.ActiveWithin, err = querySeconds(c.params, "activeWithin"); err != nil {
		return err
	}
	p := page{cursor: c.params["cursor"]}
	if p.limit, err = queryInt(c.params, "limit", pageSize, 0, maxPage); err != nil {
		return err
	}
	return c.list(f, p)
}

// searchSessions is listSessions with a filter in the body, because users don't belong into URLs.
func (c *call) searchSessions() error {
	in, err := c.body(true)
	if err != nil {
		return err
	}
	f := bridge.Filter{
		UserID: user(in, "user"), ClientID: id(in, "client"), ActiveWithin: seconds(in, "activeWithin"),
	}
	p := page{limit: in.Int("limit", pageSize, 0, maxPage), cursor: shortText(in, "cursor", 200)}
	if err := in.Err(); err != nil {
		return err
	}
	return c.list(f, p)
}

// list streams a page of sessions. An error after the first elements aborts the answer.
func (c *call) list(f bridge.Filter, p page) error {
	if p.cursor != "" {
		var ok bool
		if p.after, ok = parsePosition(p.cursor); !ok {
			return badField("cursor", "it must be the next of an earlier page")
		}
	}
	all := c.b.Sessions(c.ctx(), f)
	if touch := c.b.Options().TouchInterval; f.ActiveWithin > 0 && f.ActiveWithin <= touch {
		all = sorted(all) // the order of the Bridge is that of what is recorded
	}
	return c.stream(func(w *bufio.Writer) error {
		out, end := listWriter{out: w}, listEnd{Complete: true}
		if err := out.begin("sessions"); err != nil {
			return err
		}
		var last position
		for info, err := range inOrder(all) {
			switch {
			case errors.Is(err, bridge.ErrNodeSilent):
				end.Complete = false
				continue
			case err != nil:
				return err
			}
			here := positionOf(&info)
			if p.cursor != "" && here.compare(p.after) <= 0 {
				continue
			}
			if p.limit > 0 && out.n == p.limit {
				end.Next = last.String()
				break
			}
			if err := out.add(infoJSON(&info)); err != nil {
				return err
			}
			last = here
		}
		return out.end(end)
	})
}

// position is a place in a list of sessions: the last seen come first, and of those that were seen
// at the same time the one with the smallest ID.
type position struct {
	seen time.Time
	id   string
}

func positionOf(i *bridge.Info) position { return position{i.Seen, i.ID} }

// compare returns a negative number if p comes before q.
func (p position) compare(q position) int {
	return cmp.Or(q.seen.Compare(p.seen), strings.Compare(p.id, q.id))
}

// String returns the position as a cursor.
func (p position) String() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s", p.seen.UnixMicro(), p.id))
}

func parsePosition(cursor string) (p position, ok bool) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return p, false
	}
	micros, id, ok := strings.Cut(string(text), " ")
	n, err := strconv.ParseInt(micros, 10, 64)
	return position{time.UnixMicro(n).UTC(), id}, ok && err == nil && isID(id)
}

// inOrder yields sessions that come in the order of Seen in that of their positions. It holds those
// that were seen at the same time.
func inOrder(all iter.Seq2[bridge.Info, error]) iter.Seq2[bridge.Info, error] {
	return func(yield func(bridge.Info, error) bool) {
		var same []bridge.Info
		flush := func() bool {
			slices.SortFunc(same, func(a, b bridge.Info) int { return strings.Compare(a.ID, b.ID) })
			for i := range same {
				if !yield(same[i], nil) {
					return false
				}
			}
			same = same[:0]
			return true
		}
		for info, err := range all {
			if err != nil {
				if flush() {
					yield(bridge.Info{}, err)
				}
				return
			}
			if len(same) > 0 && !same[0].Seen.Equal(info.Seen) && !flush() {
				return
			}
			same = append(same, info)
		}
		flush()
	}
}

// sorted yields sessions in the order of Seen. It holds all.
func sorted(all iter.Seq2[bridge.Info, error]) iter.Seq2[bridge.Info, error] {
	return func(yield func(bridge.Info, error) bool) {
		var infos []bridge.Info
		var last error
		for info, err := range all {
			if err != nil {
				last = err
				break
			}
			infos = append(infos, info)
		}
		slices.SortStableFunc(infos, func(a, b bridge.Info) int { return b.Seen.Compare(a.Seen) })
		for i := range infos {
			if !yield(infos[i], nil) {
				return
			}
		}
		if last != nil {
			yield(bridge.Info{}, last)
		}
	}
}

// filterConns reads the filter of connections in the body.
func filterConns(in *strictjson.Object) bridge.ConnFilter {
	return bridge.ConnFilter{
		SessionID: id(in, "session"), ClientID: id(in, "client"), UserID: user(in, "user"),
		Name: shortText(in, "name", maxName), Addr: shortText(in, "addr", 100),
		OpenFor: seconds(in, "openFor"), QuietFor: seconds(in, "quietFor"),
	}
}

// maxName is the longest name of a connection: see bridge.ConnOptions.Name.
const maxName = 100
