package redisstore

import (
	"context"

	"github.com/redis/rueidis"

	"github.com/sessionbridge/sessionbridge/store"
)

// Stop stops the goroutines of the node without telling the others, as if its process had ended.
func Stop(ctx context.Context, n store.Node) error { return n.(*node).Stop(ctx) }

// NameOf returns the name that the node has now.
func NameOf(n store.Node) string { return n.(*node).Name() }

// ClientOption returns the options of the client of Open.
func ClientOption(url string, opts *Options) (rueidis.ClientOption, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return rueidis.ClientOption{}, err
	}
	return clientOption(url, &o)
}
