package redistest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// ClientGoroutines are those that the client of a cluster leaves behind for at most five seconds: they wait
// before they close connections to servers that have left the cluster, and before they refresh the topology.
var ClientGoroutines = []goleak.Option{
	goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient).redirectOrNew.func1"),
	goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient)._refresh.func2"),
	goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"),
}

// Cluster is a Redis Cluster of masters without replicas.
type Cluster struct {
	Servers []*Server
}

const slots = 16384

// StartCluster starts a cluster of masters with equal shares of the slots, and waits until all of
// them know it.
func StartCluster(t testing.TB, masters int) *Cluster {
	t.Helper()
	c := &Cluster{}
	for range masters {
		s := Start(t, "cluster-enabled yes", "cluster-config-file nodes.conf", "cluster-node-timeout 10000")
		c.Servers = append(c.Servers, s)
	}
	for i, s := range c.Servers {
		s.Do("CLUSTER", "ADDSLOTSRANGE", fmt.Sprint(slots*i/masters), fmt.Sprint(slots*(i+1)/masters-1))
		s.Do("CLUSTER", "SET-CONFIG-EPOCH", fmt.Sprint(i+1))
	}
	for _, s := range c.Servers[1:] {
		c.Servers[0].Do("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(s.port), strconv.Itoa(s.busPort))
	}
	require.Eventually(t, func() bool {
		for _, s := range c.Servers {
			answer := s.Do("CLUSTER", "INFO")
			info, err := answer.ToString()
			if err != nil || !strings.Contains(info, "cluster_state:ok") ||
				!strings.Contains(info, fmt.Sprint("cluster_known_nodes:", masters)) {
				return false
			}
		}
		return true
	}, patience, 50*time.Millisecond)
	return c
}

// URL returns the URL of all masters for redisstore.Open.
func (c *Cluster) URL() string {
	addrs := make([]string, len(c.Servers))
	for i, s := range c.Servers {
		addrs[i] = s.Addr()
	}
	return "redis://" + strings.Join(addrs, ",")
}

// MoveSlot moves a slot with its keys to another server of the cluster, a few keys at a time, as
// redis-cli does. It may be called from another goroutine than the test's.
func (c *Cluster) MoveSlot(slot string) error {
	ids := make([]string, len(c.Servers))
	from := -1
	for i, s := range c.Servers {
		var err error
		if ids[i], err = s.text("CLUSTER", "MYID"); err != nil {
			return err
		}
		nodes, err := s.text("CLUSTER", "NODES")
		if err != nil {
			return err
		}
		if owns(nodes, slot) {
			from = i
		}
	}
	if from < 0 {
		return fmt.Errorf("redistest: no server has slot %s", slot)
	}
	to := (from + 1) % len(c.Servers)
	source, target := c.Servers[from], c.Servers[to]
	if _, err := target.text("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[from]); err != nil {
		return err
	}
	if _, err := source.text("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[to]); err != nil {
		return err
	}
	for {
		answer, err := source.try("CLUSTER", "GETKEYSINSLOT", slot, "10")
		if err != nil {
			return err
		}
		keys, err := answer.AsStrSlice()
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			break
		}
		move := append([]string{"MIGRATE", "127.0.0.1", strconv.Itoa(target.port), "", "0", "5000", "KEYS"}, keys...)
		if _, err := source.text(move...); err != nil {
			return err
		}
	}
	for _, s := range []*Server{target, source} {
		if _, err := s.text("CLUSTER", "SETSLOT", slot, "NODE", ids[to]); err != nil {
			return err
		}
	}
	return nil
}

// owns reports whether the server that has returned nodes owns the slot.
func owns(nodes, slot string) bool {
	n, _ := strconv.Atoi(slot)
	for line := range strings.Lines(nodes) {
		fields := strings.Fields(line)
		if len(fields) < 8 || !strings.Contains(fields[2], "myself") {
			continue
		}
		for _, span := range fields[8:] {
			first, last, ok := strings.Cut(span, "-")
			if !ok {
				last = first
			}
			low, err := strconv.Atoi(first)
			high, err2 := strconv.Atoi(last)
			if err == nil && err2 == nil && low <= n && n <= high {
				return true
			}
		}
	}
	return false
}
