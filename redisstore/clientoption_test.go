package redisstore

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSeveralHosts(t *testing.T) {
	for url, want := range map[string]string{
		"redis://a:1":                  "redis://a:1",
		"redis://a:1,b:2,c:3":          "redis://a:1?addr=b:2&addr=c:3",
		"redis://u:p,w@a:1,b:2/3?x=y":  "redis://u:p,w@a:1/3?x=y&addr=b:2",
		"redis://a:1,b:2?master_set=m": "redis://a:1?master_set=m&addr=b:2",
		"unix:///run/a,b.sock":         "unix:///run/a,b.sock",
		"rediss://[::1]:1,[::2]:2/0":   "rediss://[::1]:1/0?addr=[::2]:2",
		"nothing":                      "nothing",
	} {
		require.Equal(t, want, severalHosts(url))
	}
}
