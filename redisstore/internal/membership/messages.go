package membership

import (
	"context"

	"github.com/sessionbridge/sessionbridge/redisstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/conn"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/scripts"
)

// Announce implements store.Node.
func (m *Member) Announce(ctx context.Context, clientID, sessionID string) error {
	it := m.item(kindClient, clientID)
	score, entry := Announcement(clientID, sessionID)
	_, err := m.conn.RunInt(ctx, "announce", m.scripts.Announce.On(m.prefixes[it.shard], m.Name(), score, entry))
	return err
}

// Announcement returns the score of a client and the entry for the inboxes of its holders, as scripts
// get them.
func Announcement(clientID, sessionID string) (score, entry string) {
	return storedName(kindClient + codec.Member(clientID))[1:],
		string(append(codec.AppendText([]byte{entryClient}, clientID), sessionID...))
}

// Holders implements store.Node.
func (m *Member) Holders(ctx context.Context, sessionIDs, clientIDs []string) ([]string, error) {
	args := make([][]string, len(m.prefixes)) // by shard
	add := func(kind string, ids []string) {
		for _, id := range ids {
			it := m.item(kind, id)
			if args[it.shard] == nil {
				args[it.shard] = []string{m.Name()}
			}
			args[it.shard] = append(args[it.shard], storedName(it.name))
		}
	}
	add(kindSession, sessionIDs)
	add(kindClient, clientIDs)
	return m.names(ctx, "holders", m.callsOn(&m.scripts.Holders, args))
}

// Nodes implements store.Node.
func (m *Member) Nodes(ctx context.Context) ([]string, error) {
	return m.names(ctx, "nodes", []scripts.Call{m.scripts.Everyone.On(m.prefixes[0], m.Name())})
}

// Send implements store.Node. The data stays in the memory of Redis until the nodes have read it; a
// node with 16 MiB of unread messages receives no more. The nodes can reply once this one has
// joined.
func (m *Member) Send(ctx context.Context, to []string, data []byte) error {
	const doing = "send"
	t, err := m.life.Current(ctx, doing)
	if err != nil {
		return err
	}
	entry := string(entryMessage) + t.Name + string(data)
	args := make([][]string, len(m.prefixes)) // by shard: the name of a node selects the one that it reads messages in
	for _, name := range to {
		i := codec.Shard(name, len(m.prefixes))
		if args[i] == nil {
			args[i] = []string{entry}
		}
		args[i] = append(args[i], name)
	}
	calls := m.callsOn(&m.scripts.Send, args)
	if len(calls) == 0 {
		return nil
	}
	_, err = m.conn.RunAll(ctx, doing, calls)
	return err
}

// callsOn returns a call for each shard that has arguments.
func (m *Member) callsOn(script *scripts.Script, args [][]string) (calls []scripts.Call) {
	for i, of := range args {
		if of != nil {
			calls = append(calls, script.On(m.prefixes[i], of...))
		}
	}
	return calls
}

// names returns the names that the scripts return, without duplicates.
func (m *Member) names(ctx context.Context, doing string, calls []scripts.Call) (names []string, err error) {
	if err := m.conn.Ready(ctx, doing); err != nil || len(calls) == 0 {
		return nil, err
	}
	replies, err := m.conn.RunAll(ctx, doing, calls)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, reply := range replies {
		more, err := conn.Texts(doing, reply)
		if err != nil {
			return nil, err
		}
		for _, name := range more {
			if !known[name] {
				known[name] = true
				names = append(names, name)
			}
		}
	}
	return names, nil
}
