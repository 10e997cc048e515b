package bridge

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/activity"
	"github.com/sessionbridge/sessionbridge/internal/errorcodes"
	"github.com/sessionbridge/sessionbridge/internal/nodecalls"
	"github.com/sessionbridge/sessionbridge/internal/registry"
)

// ConnInfo describes an open connection.
type ConnInfo struct {
	ID, SessionID, ClientID string // SessionID is "" while it has no session
	Name                    string // of ConnOptions.Name or LinkOptions; "" for none
	UserID                  string // "" while no user is logged in
	Addr, UserAgent         string
	ConnectedAt             time.Time
	ActiveAt                time.Time // of the client's last activity
	Received, Sent          Traffic   // of a Link: as counted by Link.Received, Link.Sent and OnNotify
	Data                    any       // the value of SetData; nil if the connection is on another node
	Remote                  bool      // it is a RemoteLink
	Node                    string    // "" for this process; a node is renamed when the store loses contact with it
}

// ConnFilter selects connections that match all its fields; the zero ConnFilter matches every one.
// A ClientID stands for a browser that has a cookie, which proves nothing: see GetByClientID.
type ConnFilter struct {
	ID, Name                    string
	SessionID, ClientID, UserID string
	Addr                        string        // the full address, or what Options.RecordAddr leaves of it
	OpenFor                     time.Duration // at least that long
	QuietFor                    time.Duration // without a message from the client, at least that long
}

// Conns yields the open connections that match the filter, in no order: first those of this process
// that were open when the loop began, in their current state, then those of other nodes. A negative
// duration is an error. With other nodes also ErrStoreUnavailable and, last, ErrNodeSilent.
func (b *Bridge) Conns(ctx context.Context, f ConnFilter) iter.Seq2[ConnInfo, error] {
	return func(yield func(ConnInfo, error) bool) {
		filter := (*registry.Filter)(&f)
		picked, err := b.find(ctx, filter)
		for _, l := range picked {
			if err = context.Cause(ctx); err != nil {
				break
			}
			if info, ok := b.match(l, filter); ok && !yield(info, nil) {
				return
			}
		}
		if err == nil {
			err = b.calls.Conns(ctx, filter, func(node string, info ConnInfo) bool {
				info.Node = node
				return !filter.HasNames(info.ID, info.Name) || yield(info, nil) // another version may not know names
			})
		}
		if err != nil {
			yield(ConnInfo{}, err)
		}
	}
}

// Conn returns the connection with the ID, which may be on any node. ErrConnMissing if there is
// none, and the errors of Conns: after ErrNodeSilent there may be one.
func (b *Bridge) Conn(ctx context.Context, id string) (ConnInfo, error) {
	if id == "" { // every connection matches the ConnFilter
		return ConnInfo{}, ErrConnMissing
	}
	for info, err := range b.Conns(ctx, ConnFilter{ID: id}) {
		if err != nil || info.ID == id {
			return info, err
		}
	}
	return ConnInfo{}, ErrConnMissing
}

// CloseConn starts to close the connection with a code, 1000, 1008, 1011 to 1013 or 3000 to 4999,
// and a reason of at most 123 bytes of UTF-8. It returns false if there is none, or its close has
// begun. If connections of several nodes have the ID, which ConnOptions.ID allows, it closes that
// of this process, or if there is none here those of the other nodes. With other nodes on the store
// also ErrStoreUnavailable and ErrNodeSilent.
func (b *Bridge) CloseConn(ctx context.Context, connID string, code int, reason string) (bool, error) {
	if err := cmp.Or(errorcodes.CheckClose(code, reason), context.Cause(ctx)); err != nil {
		return false, err
	}
	if l := b.links.Get(connID); l != nil {
		return l.end(code, reason), nil
	}
	n, err := b.calls.CloseConn(ctx, connID, code, reason)
	return n > 0, err
}

// CloseConns starts to close the connections that match the filter, as CloseConn does, and returns
// how many: those that are older than an hour, say, or that have been quiet for ten minutes. The
// zero ConnFilter is an error here. Other nodes take part as with CloseConn.
func (b *Bridge) CloseConns(ctx context.Context, f ConnFilter, code int, reason string) (int, error) {
	if err := errorcodes.CheckClose(code, reason); err != nil {
		return 0, err
	}
	if f == (ConnFilter{}) {
		return 0, errors.New("bridge: CloseConns: the filter is empty, and would close every connection; Shutdown does that")
	}
	filter := (*registry.Filter)(&f)
	n, err := b.closeHere(ctx, filter, code, reason)
	if err != nil {
		return n, err
	}
	elsewhere, err := b.calls.CloseConns(ctx, filter, code, reason)
	return n + elsewhere, err
}

// SetConnData is SetData of the connection with the ID; false if this process has none.
func (b *Bridge) SetConnData(connID string, v any) bool {
	l := b.links.Get(connID)
	if l == nil {
		return false
	}
	l.SetData(v)
	return true
}

// closeHere is CloseConns for the connections of this process.
func (b *Bridge) closeHere(ctx context.Context, f *registry.Filter, code int, reason string) (n int, err error) {
	picked, err := b.find(ctx, f)
	for _, l := range picked {
		if _, ok := b.match(l, f); ok && l.end(code, reason) {
			n++
		}
	}
	return n, err
}

// NodeInfo describes a process with a Bridge on the same store and App.
type NodeInfo struct {
	Node      string    // "" for this process; otherwise as in ConnInfo
	StartedAt time.Time // when its Bridge was made, by its own clock
	Stats     Stats     // of its Bridge; Healthy is false if it doesn't hear the others
}

// Nodes yields the state of this process and of the others on the store, in no order. On a store
// that is no store.Watcher there are no others. Errors: ErrStoreUnavailable; ErrNodeSilent, last, if
// a node has not answered, or has a version without Nodes.
func (b *Bridge) Nodes(ctx context.Context) iter.Seq2[NodeInfo, error] {
	return func(yield func(NodeInfo, error) bool) {
		if err := context.Cause(ctx); err != nil {
			yield(NodeInfo{}, err)
			return
		}
		if !yield(b.nodeInfo(), nil) {
			return
		}
		err := b.calls.Status(ctx, func(node string, info NodeInfo) bool {
			info.Node = node
			return yield(info, nil)
		})
		if err != nil {
			yield(NodeInfo{}, err)
		}
	}
}

// nodeInfo describes this process.
func (b *Bridge) nodeInfo() NodeInfo {
	return NodeInfo{StartedAt: b.clock.Time(0), Stats: b.Stats()}
}

// newCalls returns the questions to other nodes, and the answers of this one.
func (b *Bridge) newCalls() *nodecalls.Calls[ConnInfo, NodeInfo] {
	return nodecalls.New(nodecalls.Config[ConnInfo, NodeInfo]{
		Node: b.cluster, Gateway: b.gateway, Background: b.pools.background,
		Status: b.nodeInfo,
		Notify: b.notifyHere,
		Online: b.onlineHere, Presence: b.presence.Answer, Hinted: b.presence.Hint,
		Counts: func(q activity.Question) []activity.Item { return b.activity.Answer(q) },
		Conns: func(f registry.Filter) (infos []ConnInfo) {
			picked, _ := b.find(context.Background(), &f)
			for _, l := range picked {
				if info, ok := b.match(l, &f); ok {
					info.Data = nil // it stays in this process
					infos = append(infos, info)
				}
			}
			return infos
		},
		CloseConn: func(id string, code int, reason string) int {
			if l := b.links.Get(id); l != nil && l.end(code, reason) {
				return 1
			}
			return 0
		},
		CloseConns: func(f *registry.Filter, code int, reason string) int {
			n, _ := b.closeHere(context.Background(), f, code, reason)
			return n
		},
	})
}

// find returns the links that may match the filter.
func (b *Bridge) find(ctx context.Context, f *registry.Filter) ([]*Link, error) {
	if err := cmp.Or(context.Cause(ctx), f.Check()); err != nil {
		return nil, err
	}
	return b.links.Find(f), nil
}

// match returns the state of l; false if it is closed or doesn't match the filter.
func (b *Bridge) match(l *Link, f *registry.Filter) (c ConnInfo, ok bool) {
	c = ConnInfo{
		ID: l.entry.ID, Name: l.entry.Name, ClientID: l.entry.ClientID,
		Addr: b.records.Addr(l.entry.Addr), UserAgent: l.userAgent,
		ConnectedAt: l.ConnectedAt(), ActiveAt: b.clock.Time(l.activeSince()),
		Received: Traffic(l.received.Read()), Sent: Traffic(l.sent.Read()), Data: l.Data(), Remote: l.remote != nil,
	}
	c.SessionID, c.UserID, ok = b.links.State(l)
	return c, ok && f.Matches(&l.entry, c.SessionID, c.UserID, c.Addr, time.Since(c.ConnectedAt), time.Since(c.ActiveAt))
}
