package main

import (
	"context"
	"fmt"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func userGroups() []group {
	c := &populace{}
	return []group{
		{
			name:   "Activity of 1k among 1M",
			ours:   side{"ours", c.side((*populace).activity)},
			rounds: 5,
			rows:   []row{{"", totalNs, under(time.Millisecond)}},
		},
		{
			name:   "Sessions of a user with 5 among 1M",
			ours:   side{"ours", c.side((*populace).sessions)},
			rounds: 5,
			rows:   []row{{"", totalNs, under(100 * time.Microsecond)}},
		},
	}
}

const (
	crowdWindow = time.Hour
	crowdActive = 1000 // sessions that were active within it
	crowdOfOne  = 5    // sessions of each user
)

// populace is a store of very many sessions, few of them active. The groups here share one.
type populace struct {
	bridge *bridge.Bridge
	all    int
	users  int // subjects that are open
}

// side returns how to open a subject on the populace.
func (c *populace) side(measure func(*populace) (sample, error)) func() (*subject, error) {
	return func() (*subject, error) {
		c.users++
		return &subject{
			measure: func(quick bool) (sample, error) {
				if err := c.ready(quick); err != nil {
					return nil, err
				}
				return measure(c)
			},
			close: c.leave,
		}, nil
	}
}

// ready fills the populace: those that are active are all over it.
func (c *populace) ready(quick bool) error {
	if c.bridge != nil {
		return nil
	}
	c.all = 1_000_000
	if quick {
		c.all = 20_000
	}
	st := livestore.New()
	b, err := bridge.New(st, &bridge.Options{Keys: [][]byte{signingKey}, AutoCleanup: bridge.Off})
	if err != nil {
		return err
	}
	c.bridge = b
	now := time.Now()
	for n := range c.all {
		seen := now.Add(-2*crowdWindow - time.Duration(n)*time.Millisecond)
		if n%(c.all/crowdActive) == 0 {
			seen = now
		}
		rec := session(n, seen, now.Add(24*time.Hour))
		rec.UserID = fmt.Sprintf("user-%d", n/crowdOfOne)
		if _, err := st.Set(context.Background(), rec); err != nil {
			return err
		}
	}
	return nil
}

func (c *populace) leave() error {
	if c.users--; c.users > 0 || c.bridge == nil {
		return nil
	}
	err := shutDown(c.bridge)
	c.bridge = nil
	return err
}

// timed returns how long one of n operations takes.
func timed(n int, do func(i int) error) (sample, error) {
	start := time.Now()
	for i := range n {
		if err := do(i); err != nil {
			return nil, err
		}
	}
	return sample{totalNs: float64(time.Since(start)) / float64(n)}, nil
}

func (c *populace) activity() (sample, error) {
	return timed(100, func(int) error {
		a, err := c.bridge.Activity(context.Background(), crowdWindow)
		if err != nil {
			return err
		}
		return same("active sessions", a.Sessions, crowdActive)
	})
}

func (c *populace) sessions() (sample, error) {
	return timed(2000, func(i int) error {
		user, n := fmt.Sprintf("user-%d", i*7919%(c.all/crowdOfOne)), 0
		for _, err := range c.bridge.Sessions(context.Background(), bridge.Filter{UserID: user}) {
			if err != nil {
				return err
			}
			n++
		}
		return same("sessions of "+user, n, crowdOfOne)
	})
}
