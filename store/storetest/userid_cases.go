package storetest

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// hostileNames are values that indexes are known to fail on: very long ones, prefixes of others,
// with multi-byte characters, and with a special meaning to a language or to a key with separators.
func hostileNames() []string {
	long := strings.Repeat("x", 254)
	return []string{
		"u", "u:", "u:1", "u:1:2", "u1", "u\x01", "u\xc2\x80", "uu", ":", "::", "1:u", "{u}", "u}",
		"*", "u*", "%", "u%00", "u/..", " ", "u\n",
		"constructor", "__proto__", "toString", "null", "undefined", "0", "-1", "日本語", "日本", "日",
		"\U0001f469\u200d\U0001f4bb", "\U0001f469",
		long, long + "x", long + "y", strings.Repeat("日", 85), strings.Repeat("a:", 127) + "!",
	}
}

// hostile returns cases for an index by name.
func (k keyed) hostile() []testCase {
	return []testCase{
		{
			"hostile values",
			"Yields the records with the value, and no others, for any value of up to 255 bytes of UTF-8 without NUL.",
			func(e *env) {
				names := hostileNames()
				want := map[string][]string{}
				for _, name := range names {
					for range 2 {
						want[name] = append(want[name], e.create(func(rec *store.Record) { *k.field(rec) = name }).ID)
					}
				}
				check := func() {
					for _, name := range names {
						require.ElementsMatch(e, want[name], ids(e.collect(k.by(e, name))), "of %q", name)
					}
				}
				check()
				for i, name := range names { // the first record of each name moves to the next name
					id, next := want[name][0], names[(i+1)%len(names)]
					rec := e.get(id)
					*k.field(&rec) = next
					e.set(rec)
					want[name] = want[name][1:]
					want[next] = append(want[next], id)
				}
				check()
				for _, name := range names {
					for _, id := range want[name] {
						e.destroy(id, true)
					}
					want[name] = nil
				}
				check()
			},
		},
		{
			"touched and swept",
			"Yields the last seen first, by the current Seen: a touch moves a record; a sweep removes it.",
			func(e *env) {
				with := func(rec *store.Record) { *k.field(rec) = "a" }
				want := e.createSeenAt([]int{0, 1, 2, 3, 4}, with)
				if toucher, ok := store.As[store.Toucher](e.st); ok {
					oldest := want[4]
					require.NoError(e, toucher.Touch(e.ctx, oldest, e.base.Add(time.Minute)))
					want = append([]string{oldest}, want[:4]...)
					require.Equal(e, want, ids(e.collect(k.by(e, "a"))))
				}
				if sweeper, ok := store.As[store.Sweeper](e.st); ok {
					rec := e.get(want[2])
					rec.Expires = e.base.Add(time.Second)
					e.set(rec)
					swept, err := sweeper.Sweep(e.ctx, e.base.Add(time.Minute), 10)
					require.NoError(e, err)
					require.Equal(e, []string{rec.ID}, ids(swept))
					want = slices.Delete(want, 2, 3)
					require.Equal(e, want, ids(e.collect(k.by(e, "a"))))
				}
			},
		},
		{
			"paging while others change",
			"Yields every record that has the value during the whole iteration once, while others change; " +
				"one that is destroyed or loses the value meanwhile once at most.",
			func(e *env) {
				var all []store.Record
				for i := range 120 {
					all = append(all, e.create(func(rec *store.Record) {
						*k.field(rec), rec.Seen = "a", e.base.Add(time.Duration(i)*time.Second)
					}))
				}
				slices.Reverse(all)
				next, stop := iter.Pull2(k.by(e, "a"))
				defer stop()
				yielded := map[string]int{}
				for i := 0; ; i++ {
					rec, err, ok := next()
					if !ok {
						break
					}
					require.NoError(e, err)
					require.Equal(e, "a", *k.field(&rec))
					yielded[rec.ID]++
					if i < 20 { // of the records not yielded yet, every third is destroyed and every third gets another name
						gone, moved := all[20+3*i], all[21+3*i]
						e.destroy(gone.ID, true)
						*k.field(&moved) = fmt.Sprint("b", i)
						e.set(moved)
						e.create(func(rec *store.Record) { *k.field(rec) = "c" })
					}
				}
				for i, rec := range all {
					if stays := i < 20 || i >= 80 || (i-20)%3 == 2; stays {
						require.Equal(e, 1, yielded[rec.ID], "record %d had the value all the time", i)
					} else {
						require.LessOrEqual(e, yielded[rec.ID], 1, "record %d", i)
					}
				}
			},
		},
	}
}
