package redisstore

import (
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// Die stops what the node does, as if its process had ended.
func Die(n store.Node) {
	m := n.(*node).member
	m.stop()
	<-m.ended
}

// NameOf returns the name that the node has now.
func NameOf(n store.Node) string { return n.(*node).member.name() }

// ShardOf returns the shard of a session.
func ShardOf(id string, shards int) int { return shardOf(memberOf(id), shards) }

// HoldAgain has the node say again what it holds, as it does by and by.
func HoldAgain(n store.Node) error {
	m := n.(*node).member
	for i, s := range m.term.Load().shards {
		if err := s.holdAgain(m.held[i].all()); err != nil {
			return err
		}
	}
	return nil
}

// Refresh goes through the days from a start, minute by minute, and returns which minutes the names are held again in.
func Refresh(all []string, days int) map[string][]int {
	start := time.Now()
	due := refresh{last: start}
	minutes := map[string][]int{}
	for minute := 1; minute < days*24*60; minute++ {
		some := due.next(start.Add(time.Duration(minute)*holdTick), func() []string { return all })
		for _, name := range some {
			minutes[name] = append(minutes[name], minute)
		}
		due.done(len(some))
	}
	return minutes
}

// MemberOf returns how an ID is written in keys.
func MemberOf(id string) string { return memberOf(id) }
