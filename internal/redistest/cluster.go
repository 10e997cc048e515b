package redistest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Cluster is a Redis Cluster of masters without replicas.
type Cluster struct {
	Servers []*Server
}

const slots = 16384

// StartCluster starts a cluster of so many masters, each with as many slots, and waits until all of them know it.
func StartCluster(t testing.TB, masters int) *Cluster {
	t.Helper()
	c := &Cluster{}
	buses := make([]string, masters)
	for i := range masters {
		buses[i] = strconv.Itoa(freePort(t))
		c.Servers = append(c.Servers, Start(t, "cluster-enabled yes", "cluster-config-file nodes.conf", "cluster-node-timeout 2000", "cluster-port "+buses[i]))
	}
	for i, s := range c.Servers {
		s.Do("CLUSTER", "ADDSLOTSRANGE", fmt.Sprint(slots*i/masters), fmt.Sprint(slots*(i+1)/masters-1))
		s.Do("CLUSTER", "SET-CONFIG-EPOCH", fmt.Sprint(i+1))
	}
	for i, s := range c.Servers[1:] {
		c.Servers[0].Do("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(s.port), buses[i+1])
	}
	require.Eventually(t, func() bool {
		for _, s := range c.Servers {
			answer := s.Do("CLUSTER", "INFO")
			info, err := answer.ToString()
			if err != nil || !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, fmt.Sprint("cluster_known_nodes:", masters)) {
				return false
			}
		}
		return true
	}, patience, 50*time.Millisecond)
	return c
}

// URL returns the URL for redisstore.Open, of all masters.
func (c *Cluster) URL() string {
	addrs := make([]string, len(c.Servers))
	for i, s := range c.Servers {
		addrs[i] = s.Addr()
	}
	return "redis://" + strings.Join(addrs, ",")
}
