package bridge

import (
	"context"
	"iter"
	"time"
)

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
