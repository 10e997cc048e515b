package cachestore

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"
)

// The order of replies and invalidations is tested with servers in package redisstore.

func TestCancelAndCloseEndWaiting(t *testing.T) {
	s := New(rueidis.CacheStoreOption{CacheSizeEachConn: 1 << 20})
	reason := errors.New("connection lost")
	for _, end := range []func(key string){
		func(key string) { s.Cancel(key, "GET", reason) },
		func(string) { s.Close(reason) },
	} {
		_, entry := s.Flight("key", "GET", time.Minute, time.Now())
		require.Nil(t, entry, "the first caller sends the command")
		_, entry = s.Flight("key", "GET", time.Minute, time.Now())
		require.NotNil(t, entry, "the others wait")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := entry.Wait(ctx)
		require.ErrorIs(t, err, context.Canceled)
		end("key")
		_, err = entry.Wait(t.Context())
		require.ErrorIs(t, err, reason)
	}
	for range 2 {
		_, entry := s.Flight("key", "GET", time.Minute, time.Now())
		require.Nil(t, entry, "after Close each caller sends the command")
	}
}

func TestEviction(t *testing.T) {
	const limit, size = 10_000, 1000
	p := &partition{values: map[string]*value{}, limit: limit}
	p.add("used", &value{size: size, used: true})
	for i := range 100 {
		p.add(fmt.Sprint(i), &value{size: size})
		require.LessOrEqual(t, p.size, limit)
		require.Equal(t, p.size, len(p.values)*size)
		require.Contains(t, p.values, "used")
		p.values["used"].used = true
	}
	require.Len(t, p.values, limit/size)
	p.add("large", &value{size: limit + 1})
	require.NotContains(t, p.values, "large")
}
