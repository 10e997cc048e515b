package redistest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
)

const (
	patience = time.Minute
	tick     = 10 * time.Millisecond
)

// connect returns a client of the proxy that never retries.
func connect(t *testing.T, p *redistest.Proxy, change ...func(*rueidis.ClientOption)) rueidis.Client {
	t.Helper()
	option := rueidis.ClientOption{
		InitAddress: []string{p.Addr()}, ForceSingleClient: true, DisableRetry: true, DisableCache: true, PipelineMultiplex: -1,
		ReadBufferEachConn: 16 << 10, WriteBufferEachConn: 16 << 10, AlwaysPipelining: true,
	}
	for _, change := range change {
		change(&option)
	}
	client, err := rueidis.NewClient(option)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

func do(ctx context.Context, client rueidis.Client, command ...string) (string, error) {
	answer, err := client.Do(ctx, client.B().Arbitrary(command...).Build()).ToMessage()
	if err != nil {
		return "", err
	}
	return answer.ToString()
}

func requireWorks(t *testing.T, client rueidis.Client) {
	t.Helper()
	require.Eventually(t, func() bool {
		text, err := do(t.Context(), client, "ECHO", "here")
		return err == nil && text == "here"
	}, patience, tick)
}

func TestProxyCut(t *testing.T) {
	s := redistest.Start(t)
	p := redistest.StartProxy(t, s)
	client := connect(t, p)
	requireWorks(t, client)
	failed := make(chan error)
	go func() {
		_, err := do(t.Context(), client, "BLPOP", "none", "0")
		failed <- err
	}()
	require.Eventually(t, func() bool { return s.Info("clients")["blocked_clients"] == "1" }, patience, tick)
	require.Equal(t, 1, p.Cut())
	require.Error(t, <-failed, "a call that waits for a reply fails")
	require.Zero(t, p.Cut())
	require.Eventually(t, func() bool { return s.Info("clients")["blocked_clients"] == "0" }, patience, tick, "the server notices, too")
	requireWorks(t, client)
}

func TestProxyRefuse(t *testing.T) {
	p := redistest.StartProxy(t, redistest.Start(t))
	client := connect(t, p)
	requireWorks(t, client)
	p.Refuse()
	_, err := do(t.Context(), client, "PING")
	require.NoError(t, err, "an open connection stays")
	p.Cut()
	require.Eventually(t, func() bool { return !there(p) }, patience, tick)
	for range 5 {
		_, err := do(t.Context(), client, "PING")
		require.Error(t, err)
	}
	require.Zero(t, p.Cut())
	p.Allow()
	requireWorks(t, client)
}

// there reports whether a new connection gets a reply.
func there(p *redistest.Proxy) bool {
	conn, err := net.DialTimeout("tcp", p.Addr(), patience)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, "PING\r\n")
	_, err = io.ReadFull(conn, make([]byte, len("+PONG\r\n")))
	return err == nil
}

func TestProxyStall(t *testing.T) {
	s := redistest.Start(t)
	p := redistest.StartProxy(t, s)
	client := connect(t, p)
	requireWorks(t, client)
	p.Stall()
	done := make(chan error)
	go func() {
		_, err := do(t.Context(), client, "SET", "key", "late")
		done <- err
	}()
	select {
	case err := <-done:
		require.FailNow(t, "a stalled connection has brought an answer", "%v", err)
	case <-time.After(100 * time.Millisecond):
	}
	nothing := s.Do("EXISTS", "key")
	n, err := nothing.AsInt64()
	require.NoError(t, err)
	require.Zero(t, n, "it hasn't arrived")
	p.Resume()
	require.NoError(t, <-done)
	late := s.Do("GET", "key")
	text, err := late.ToString()
	require.NoError(t, err)
	require.Equal(t, "late", text, "it has arrived")

	p.Stall()
	go func() {
		_, err := do(t.Context(), client, "SET", "key", "never")
		done <- err
	}()
	require.Eventually(t, func() bool { return p.Cut() > 0 }, patience, tick, "a stalled connection can be cut")
	require.Error(t, <-done)
	p.Resume()
	requireWorks(t, client)
}

func TestProxyDelay(t *testing.T) {
	const delay = 50 * time.Millisecond
	p := redistest.StartProxy(t, redistest.Start(t))
	client := connect(t, p)
	requireWorks(t, client)
	p.Delay(delay)
	began := time.Now()
	_, err := do(t.Context(), client, "PING")
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(began), 2*delay, "in both directions")
	p.Delay(time.Hour)
	failed := make(chan error)
	go func() {
		_, err := do(t.Context(), client, "PING")
		failed <- err
	}()
	require.Eventually(t, func() bool { return p.Cut() > 0 }, patience, tick)
	require.Error(t, <-failed, "a delayed connection can be cut")
	p.Delay(0)
	requireWorks(t, client)
}

func TestProxyWithoutServer(t *testing.T) {
	s := redistest.Start(t, "appendonly yes", "appendfsync always")
	p := redistest.StartProxy(t, s)
	client := connect(t, p)
	requireWorks(t, client)
	s.Kill()
	require.Eventually(t, func() bool { _, err := do(t.Context(), client, "PING"); return err != nil && !there(p) }, patience, tick)
	s.Restart()
	requireWorks(t, client)
}

// TestProxyDropsPushes: messages of all kinds of subscriptions are dropped, while commands and new
// subscriptions are answered.
func TestProxyDropsPushes(t *testing.T) {
	s := redistest.Start(t)
	p := redistest.StartProxy(t, s)
	client := connect(t, p)
	messages := make(chan string, 100)
	subscribe := func(command rueidis.Completed) (ready chan struct{}, end func()) {
		ready = make(chan struct{})
		ctx, cancel := context.WithCancel(rueidis.WithOnSubscriptionHook(t.Context(), func(sub rueidis.PubSubSubscription) {
			if sub.Kind == "subscribe" || sub.Kind == "ssubscribe" || sub.Kind == "psubscribe" {
				close(ready)
			}
		}))
		var receiving sync.WaitGroup
		receiving.Go(func() {
			err := client.Receive(ctx, command, func(m rueidis.PubSubMessage) { messages <- m.Message })
			if !errors.Is(err, context.Canceled) {
				t.Errorf("receive: %v", err)
			}
		})
		return ready, func() { cancel(); receiving.Wait() }
	}
	first, endFirst := subscribe(client.B().Ssubscribe().Channel("a").Build())
	defer endFirst()
	<-first
	s.Do("SPUBLISH", "a", "1")
	require.Equal(t, "1", <-messages)

	p.DropPushes()
	second, endSecond := subscribe(client.B().Subscribe().Channel("b").Build())
	defer endSecond()
	third, endThird := subscribe(client.B().Psubscribe().Pattern("c*").Build())
	defer endThird()
	<-second
	<-third
	s.Do("SPUBLISH", "a", "2")
	s.Do("PUBLISH", "b", "3")
	s.Do("PUBLISH", "c", "4")
	require.Eventually(t, func() bool { return p.Dropped() == 3 }, patience, tick)
	requireWorks(t, client)

	p.PassPushes()
	s.Do("SPUBLISH", "a", "5")
	require.Equal(t, "5", <-messages)
	s.Do("PUBLISH", "b", "6")
	require.Equal(t, "6", <-messages)
	s.Do("PUBLISH", "c", "7")
	require.Equal(t, "7", <-messages)
	require.Equal(t, 3, p.Dropped())
}

// TestProxyDropsInvalidations: a client keeps outdated values in its cache.
func TestProxyDropsInvalidations(t *testing.T) {
	s := redistest.Start(t)
	p := redistest.StartProxy(t, s)
	client := connect(t, p, func(o *rueidis.ClientOption) { o.DisableCache = false })
	cached := func() string {
		text, err := client.DoCache(t.Context(), client.B().Get().Key("key").Cache(), time.Hour).ToString()
		require.NoError(t, err)
		return text
	}
	s.Do("SET", "key", "1")
	require.Equal(t, "1", cached())
	s.Do("SET", "key", "2")
	require.Eventually(t, func() bool { return cached() == "2" }, patience, tick)
	p.DropPushes()
	s.Do("SET", "key", "3")
	require.Eventually(t, func() bool { return p.Dropped() == 1 }, patience, tick)
	requireWorks(t, client)
	require.Equal(t, "2", cached())
	p.Cut()
	require.Eventually(t, func() bool {
		text, err := client.DoCache(t.Context(), client.B().Get().Key("key").Cache(), time.Hour).ToString()
		return err == nil && text == "3"
	}, patience, tick, "a new connection begins without a cache")
}
