package bridge

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/clock"
)

// A connection that has to go loses its session a moment before it is closed. If its handler notices first, and ends, the client is told the same: not that there was no session,
// after which it must not come back.
func TestConnectionThatHasToGoEndsAsSuchThoughItsHandlerIsFaster(t *testing.T) {
	clock := clock.New()
	defer clock.Close()
	ls := newLinks(clock, connLimits{perSession: 1, evict: true}, nil)
	older, newer := &Link{ctx: t.Context(), id: "1", clientID: "c", sessionID: "s"}, &Link{ctx: t.Context(), id: "2", clientID: "c", sessionID: "s", openedAt: time.Second}
	_, err := ls.add(older)
	require.NoError(t, err)
	evicted, err := ls.add(newer)
	require.NoError(t, err)
	require.Equal(t, []*Link{older}, evicted)
	require.Equal(t, CodePolicy, ls.overOf(older).code)
}
