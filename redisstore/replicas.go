package redisstore

import (
	"context"
	"fmt"

	"github.com/redis/rueidis"
)

// waitForReplicas returns when as many replicas as are to be waited for have what has been done to the shard. It writes something after that, on a connection of its own, and
// waits for this: replicas take changes in order.
func (e *engine) waitForReplicas(ctx context.Context, doing, prefix string) error {
	if e.replicas == 0 {
		return nil
	}
	doing += ": waiting for replicas"
	if err := e.ready(ctx, doing); err != nil {
		return err
	}
	limited, cancel := e.limit(ctx)
	defer cancel()
	var got int64
	err := e.client.Dedicated(func(client rueidis.DedicatedClient) (err error) {
		mark := client.B().Set().Key(prefix + "w").Value("").PxMilliseconds(1000).Build()
		wait := client.B().Wait().Numreplicas(int64(e.replicas)).Timeout(max(e.timeout.Milliseconds()*3/4, 1)).Build()
		results := client.DoMulti(limited, mark, wait)
		if err := results[0].Error(); err != nil {
			return err
		}
		got, err = results[1].AsInt64()
		return err
	})
	switch {
	case err != nil:
		return e.explain(ctx, doing, err)
	case got < int64(e.replicas):
		return fmt.Errorf("%w: %d of %d", ErrReplicas, got, e.replicas)
	}
	return nil
}
