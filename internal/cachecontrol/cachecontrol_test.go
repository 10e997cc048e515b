package cachecontrol_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/cachecontrol"
)

// h makes a header of lines "Name: value".
func h(lines ...string) http.Header {
	header := make(http.Header)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		header.Add(name, value)
	}
	return header
}

const (
	noStore        = "Cache-Control: no-store"
	privateNoStore = "Cache-Control: private, no-store"
)

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
		"none":        {h(), false, h(noStore)},
		"empty value": {h("Cache-Control: "), false, h(noStore)},
		"no-store":    {h(noStore), false, h(noStore)},
		"private":     {h("Cache-Control: private, max-age=60"), false, h("Cache-Control: private, max-age=60")},
		"in capitals": {h("Cache-Control: Private"), false, h("Cache-Control: Private")},
		"no-cache":    {h("Cache-Control: no-cache"), false, h(privateNoStore)},
		"max-age=0":   {h("Cache-Control: max-age=0"), false, h(privateNoStore)},

		"max-age":               {h("Cache-Control: max-age=60"), true, h(privateNoStore)},
		"max-age in quotes":     {h(`Cache-Control: max-age="60"`), true, h(privateNoStore)},
		"max-age, not a number": {h("Cache-Control: max-age=soon"), true, h(privateNoStore)},
		"public":                {h("Cache-Control: public"), true, h(privateNoStore)},
		"s-maxage":              {h("Cache-Control: max-age=0, S-MaxAge=60"), true, h(privateNoStore)},
		"private and immutable": {h("Cache-Control: private, immutable"), true, h(privateNoStore)},
		"private fields":        {h(`Cache-Control: private="X-User", max-age=60`), true, h(privateNoStore)},
		"two lines":             {h("Cache-Control: must-revalidate", "Cache-Control: public"), true, h(privateNoStore)},

		"Expires":                {h("Expires: " + later), true, h(noStore)},
		"Expires in the past":    {h("Expires: " + earlier), false, h(noStore, "Expires: "+earlier)},
		"Expires 0":              {h("Expires: 0"), false, h(noStore, "Expires: 0")},
		"Expires behind max-age": {h("Expires: "+later, "Cache-Control: max-age=0"), false, h(privateNoStore, "Expires: "+later)},
		"Expires, private":       {h("Expires: "+later, "Cache-Control: private"), false, h("Cache-Control: private", "Expires: "+later)},

		"a CDN":               {h("Cache-Control: private", "Cdn-Cache-Control: max-age=60"), true, h("Cache-Control: private")},
		"another CDN":         {h("Cloudflare-Cdn-Cache-Control: max-age=60"), true, h(noStore)},
		"no CDN":              {h("Cdn-Cache-Control: no-store"), false, h(noStore, "Cdn-Cache-Control: no-store")},
		"a CDN, empty":        {h("Cdn-Cache-Control: "), false, h(noStore, "Cdn-Cache-Control: ")},
		"a surrogate":         {h(noStore, "Surrogate-Control: max-age=60"), true, h(noStore)},
		"an edge":             {h("Edge-Control: max-age=60"), true, h(noStore)},
		"nginx":               {h("X-Accel-Expires: 60"), true, h(noStore)},
		"nginx, off":          {h("X-Accel-Expires: off"), false, h(noStore, "X-Accel-Expires: off")},
		"nginx, 0":            {h("X-Accel-Expires: 0"), false, h(noStore, "X-Accel-Expires: 0")},
		"not one for a cache": {h("-Cache-Control: max-age=60"), false, h(noStore, "-Cache-Control: max-age=60")},
		"anything else stays": {h("Content-Type: text/plain", "Cdn-Cache-Control: public"), true, h("Content-Type: text/plain", noStore)},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.shared, cachecontrol.Shared(c.in))
			got := c.in.Clone()
			require.Equal(t, c.shared, cachecontrol.Restrict(got))
			require.Equal(t, c.out, got)
			require.False(t, cachecontrol.Restrict(got), "it is restricted already")
			require.Equal(t, c.out, got)

			got = c.in.Clone()
			cachecontrol.Forbid(got)
			require.Equal(t, []string{"no-store"}, got["Cache-Control"])
			require.False(t, cachecontrol.Shared(got))
			require.Empty(t, got["Expires"])
			require.Equal(t, c.in["Content-Type"], got["Content-Type"])
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
		"none":       {h(), []string{"Cookie"}, []string{"Cookie"}},
		"several":    {h(), []string{"Cookie", "Authorization", "Cookie"}, []string{"Cookie", "Authorization"}},
		"others":     {h("Vary: Accept, Origin"), []string{"Cookie"}, []string{"Accept, Origin", "Cookie"}},
		"there":      {h("Vary: Accept,cookie", "Vary: Origin"), []string{"Cookie", "Origin"}, []string{"Accept,cookie", "Origin"}},
		"everything": {h("Vary: *"), []string{"Cookie"}, []string{"*"}},
	} {
		t.Run(name, func(t *testing.T) {
			cachecontrol.VaryOn(c.in, c.on...)
			require.Equal(t, c.want, c.in["Vary"])
		})
	}
}
