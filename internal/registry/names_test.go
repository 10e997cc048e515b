package registry_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/registry"
)

// named returns a connection with a name.
func (f *fixture) named(name string, naming registry.Naming) *conn {
	c := f.make("s", 0)
	c.entry.Name, c.entry.Naming = name, naming
	return c
}

func TestNameIsSharedUnlessTheNewOneWantsItAlone(t *testing.T) {
	f := newFixture(t, registry.Config[*conn]{})
	first, second := f.named("n", registry.ShareName), f.named("n", registry.ShareName)
	for _, c := range []*conn{first, second, f.named("", registry.RefuseName), f.named("", registry.ReplaceName)} {
		evicted, err := f.Add(c)
		require.NoError(t, err)
		require.Empty(t, evicted)
	}
	require.ElementsMatch(t, []*conn{first, second}, f.Named("n"))
	require.Empty(t, f.Named(""))

	_, err := f.Add(f.named("n", registry.RefuseName))
	require.ErrorIs(t, err, registry.ErrNameInUse)
	require.Equal(t, 4, f.Count())
	require.ElementsMatch(t, []*conn{first, second}, f.Rivals("", &registry.Entry{Name: "n"}))
	first.ended.Store(true) // its handler hasn't returned
	f.Remove(second)
	_, err = f.Add(f.named("n", registry.RefuseName))
	require.NoError(t, err)
}

func TestNameIsTakenOver(t *testing.T) {
	f := newFixture(t, registry.Config[*conn]{Limits: registry.Limits{PerSession: 2, PerAddr: 2}})
	first, second, third := f.named("n", registry.ShareName), f.named("n", registry.ShareName), f.named("n", registry.ReplaceName)
	for _, c := range []*conn{first, second} {
		_, err := f.Add(c)
		require.NoError(t, err)
	}
	evicted, err := f.Add(third)
	require.NoError(t, err, "those that go make room")
	require.ElementsMatch(t, []*conn{first, second}, evicted)
	require.Equal(t, replaced, f.CloseOf(&first.entry))
	require.Empty(t, f.sessionOf(first))
	require.Equal(t, []*conn{third}, f.Named("n"))
	f.Remove(first)
	require.Equal(t, []*conn{third}, f.Named("n"))
	f.Remove(third)
	require.Empty(t, f.Named("n"))
}

// A connection that is refused for another reason takes nobody's place.
func TestRefusedConnectionReplacesNone(t *testing.T) {
	f := newFixture(t, registry.Config[*conn]{Limits: registry.Limits{PerSession: 2}})
	first := f.named("n", registry.ShareName)
	first.entry.Attach("other", "", 0, 0)
	_, err := f.Add(first)
	require.NoError(t, err)
	f.add("s", 0)
	f.add("s", 0)
	_, err = f.Add(f.named("n", registry.ReplaceName))
	require.ErrorIs(t, err, registry.ErrSessionFull)
	require.Equal(t, []*conn{first}, f.Named("n"))
	require.Equal(t, "other", f.sessionOf(first))
}

// The evicted one and the one whose place is taken are counted once.
func TestNameIsTakenOverWhereTheOldestGoes(t *testing.T) {
	f := newFixture(t, registry.Config[*conn]{Limits: registry.Limits{PerSession: 2, PerAddr: 3, Evict: true}})
	oldest := f.add("s", 0)
	namesake := f.named("n", registry.ShareName)
	_, err := f.Add(namesake)
	require.NoError(t, err)
	evicted, err := f.Add(f.named("n", registry.ReplaceName))
	require.NoError(t, err)
	require.Equal(t, []*conn{namesake}, evicted)
	require.Equal(t, "s", f.sessionOf(oldest))
}

func TestWhatAnApplicationMayChoose(t *testing.T) {
	long := strings.Repeat("x", 101)
	for text, is := range map[string]struct{ id, name bool }{
		"aZ09_-":  {true, true},
		long[1:]:  {true, true},
		"":        {false, true},
		long:      {false, false},
		"é":       {false, true},
		"a b":     {false, true},
		"a\nb":    {false, false},
		"\xff":    {false, false},
		"a\u0085": {false, false},
	} {
		require.Equal(t, is.id, registry.ValidID(text), "%q", text)
		require.Equal(t, is.name, registry.ValidName(text), "%q", text)
	}
}
