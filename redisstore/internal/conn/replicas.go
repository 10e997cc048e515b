package conn

import (
	"context"
	"fmt"

	"github.com/redis/rueidis"
)

// WaitForReplicas returns when Replicas replicas have all changes that were made to the shard with
// the key prefix. It writes a key on a connection of its own and waits until the replicas have that
// write: replicas apply changes in order.
func (c *Conn) WaitForReplicas(ctx context.Context, doing, prefix string) error {
	if c.Replicas == 0 {
		return nil
	}
	doing += ": waiting for replicas"
	if err := c.Ready(ctx, doing); err != nil {
		return err
	}
	limited, cancel := c.Limit(ctx)
	defer cancel()
	var got int64
	err := c.Client.Dedicated(func(client rueidis.DedicatedClient) (err error) {
		write := client.B().Set().Key(prefix + "w").Value("").PxMilliseconds(1000).Build()
		timeout := max(c.Timeout.Milliseconds()*3/4, 1)
		wait := client.B().Wait().Numreplicas(int64(c.Replicas)).Timeout(timeout).Build()
		results := client.DoMulti(limited, write, wait)
		if err := results[0].Error(); err != nil {
			return err
		}
		got, err = results[1].AsInt64()
		return err
	})
	switch {
	case err != nil:
		return c.Explain(ctx, doing, err)
	case got < int64(c.Replicas):
		return fmt.Errorf("%w: %d of %d", ErrReplicas, got, c.Replicas)
	}
	return nil
}
