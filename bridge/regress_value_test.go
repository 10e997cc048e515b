package bridge_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
)

// askingValue looks at the session, and changes it, while it is being encoded.
type askingValue struct{ s *bridge.Session }

// MarshalJSON implements json.Marshaler.
func (v askingValue) MarshalJSON() ([]byte, error) {
	n, _ := testkit.Count.Get(v.s)
	v.s.Set("asked", true)
	return []byte(strconv.Itoa(n)), nil
}

func TestValueMayUseTheSessionWhileItIsEncoded(t *testing.T) {
	for name, give := range map[string]func(s *bridge.Session) any{
		"Set": func(s *bridge.Session) any { s.Set("v", askingValue{s}); v, _ := s.Get("v"); return v },
		"Key.Set": func(s *bridge.Session) any {
			bridge.NewKey[askingValue]("v").Set(s, askingValue{s})
			v, _ := s.Get("v")
			return v
		},
		"Encode": func(s *bridge.Session) any {
			require.NoError(t, s.Encode(map[string]any{"v": askingValue{s}}))
			v, _ := s.Get("v")
			return v
		},
		"AddFlash": func(s *bridge.Session) any { s.AddFlash(askingValue{s}); return s.Flashes()[0] },
	} {
		t.Run(name, func(t *testing.T) {
			a, _, id := testkit.NewSessionOf(t, nil)
			done := make(chan error, 1)
			var got any
			go func() { done <- a.Update(t, id, func(s *bridge.Session) { got = give(s) }) }()
			require.NoError(t, await.Receive(t, done))
			require.Equal(t, int64(1), got)
			asked, _ := testkit.Snapshot(t, a, id).Get("asked")
			require.Equal(t, true, asked)
		})
	}
}
