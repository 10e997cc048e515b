package cachecontrol_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/cachecontrol"
)

// headers makes a header of names and values in turn.
func headers(pairs ...string) http.Header {
	h := make(http.Header)
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

var (
	later   = time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	earlier = time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)
)

func TestRules(t *testing.T) {
	for name, c := range map[string]struct {
		in     http.Header
		shared bool
		out    http.Header // of Restrict
	}{
		"none":        {headers(), false, headers("Cache-Control", "no-store")},
		"empty value": {headers("Cache-Control", ""), false, headers("Cache-Control", "no-store")},
		"no-store":    {headers("Cache-Control", "no-store"), false, headers("Cache-Control", "no-store")},
		"private":     {headers("Cache-Control", "private, max-age=60"), false, headers("Cache-Control", "private, max-age=60")},
		"in capitals": {headers("Cache-Control", "Private"), false, headers("Cache-Control", "Private")},
		"no-cache":    {headers("Cache-Control", "no-cache"), false, headers("Cache-Control", "private, no-store")},
		"max-age=0":   {headers("Cache-Control", "max-age=0"), false, headers("Cache-Control", "private, no-store")},

		"max-age":               {headers("Cache-Control", "max-age=60"), true, headers("Cache-Control", "private, no-store")},
		"max-age in quotes":     {headers("Cache-Control", `max-age="60"`), true, headers("Cache-Control", "private, no-store")},
		"max-age, not a number": {headers("Cache-Control", "max-age=soon"), true, headers("Cache-Control", "private, no-store")},
		"public":                {headers("Cache-Control", "public"), true, headers("Cache-Control", "private, no-store")},
		"s-maxage":              {headers("Cache-Control", "max-age=0, S-MaxAge=60"), true, headers("Cache-Control", "private, no-store")},
		"private and immutable": {headers("Cache-Control", "private, immutable"), true, headers("Cache-Control", "private, no-store")},
		"private fields":        {headers("Cache-Control", `private="X-User", max-age=60`), true, headers("Cache-Control", "private, no-store")},
		"two lines":             {headers("Cache-Control", "must-revalidate", "Cache-Control", "public"), true, headers("Cache-Control", "private, no-store")},

		"Expires":                {headers("Expires", later), true, headers("Cache-Control", "no-store")},
		"Expires in the past":    {headers("Expires", earlier), false, headers("Cache-Control", "no-store", "Expires", earlier)},
		"Expires 0":              {headers("Expires", "0"), false, headers("Cache-Control", "no-store", "Expires", "0")},
		"Expires behind max-age": {headers("Expires", later, "Cache-Control", "max-age=0"), false, headers("Cache-Control", "private, no-store", "Expires", later)},
		"Expires, private":       {headers("Expires", later, "Cache-Control", "private"), false, headers("Cache-Control", "private", "Expires", later)},

		"a CDN":               {headers("Cache-Control", "private", "Cdn-Cache-Control", "max-age=60"), true, headers("Cache-Control", "private")},
		"another CDN":         {headers("Cloudflare-Cdn-Cache-Control", "max-age=60"), true, headers("Cache-Control", "no-store")},
		"no CDN":              {headers("Cdn-Cache-Control", "no-store"), false, headers("Cache-Control", "no-store", "Cdn-Cache-Control", "no-store")},
		"a CDN, empty":        {headers("Cdn-Cache-Control", ""), false, headers("Cache-Control", "no-store", "Cdn-Cache-Control", "")},
		"a surrogate":         {headers("Cache-Control", "no-store", "Surrogate-Control", "max-age=60"), true, headers("Cache-Control", "no-store")},
		"an edge":             {headers("Edge-Control", "max-age=60"), true, headers("Cache-Control", "no-store")},
		"nginx":               {headers("X-Accel-Expires", "60"), true, headers("Cache-Control", "no-store")},
		"nginx, off":          {headers("X-Accel-Expires", "off"), false, headers("Cache-Control", "no-store", "X-Accel-Expires", "off")},
		"nginx, 0":            {headers("X-Accel-Expires", "0"), false, headers("Cache-Control", "no-store", "X-Accel-Expires", "0")},
		"not one for a cache": {headers("-Cache-Control", "max-age=60"), false, headers("Cache-Control", "no-store", "-Cache-Control", "max-age=60")},
		"anything else stays": {headers("Content-Type", "text/plain", "Cdn-Cache-Control", "public"), true, headers("Content-Type", "text/plain", "Cache-Control", "no-store")},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.shared, cachecontrol.Shared(c.in))
			h := c.in.Clone()
			require.Equal(t, c.shared, cachecontrol.Restrict(h))
			require.Equal(t, c.out, h)
			require.False(t, cachecontrol.Restrict(h), "it is restricted already")
			require.Equal(t, c.out, h)

			h = c.in.Clone()
			cachecontrol.Forbid(h)
			require.Equal(t, []string{"no-store"}, h["Cache-Control"])
			require.False(t, cachecontrol.Shared(h))
			require.Empty(t, h["Expires"])
			require.Equal(t, c.in["Content-Type"], h["Content-Type"])
		})
	}
	require.False(t, cachecontrol.Shared(nil))
}

func TestVaryOn(t *testing.T) {
	for name, c := range map[string]struct {
		in   http.Header
		on   []string
		want []string
	}{
		"none":       {headers(), []string{"Cookie"}, []string{"Cookie"}},
		"several":    {headers(), []string{"Cookie", "Authorization", "Cookie"}, []string{"Cookie", "Authorization"}},
		"others":     {headers("Vary", "Accept, Origin"), []string{"Cookie"}, []string{"Accept, Origin", "Cookie"}},
		"there":      {headers("Vary", "Accept,cookie", "Vary", "Origin"), []string{"Cookie", "Origin"}, []string{"Accept,cookie", "Origin"}},
		"everything": {headers("Vary", "*"), []string{"Cookie"}, []string{"*"}},
	} {
		t.Run(name, func(t *testing.T) {
			cachecontrol.VaryOn(c.in, c.on...)
			require.Equal(t, c.want, c.in["Vary"])
		})
	}
}
