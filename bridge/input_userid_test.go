package bridge_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestUserIDOutOfRangeIsTheClientsMistake(t *testing.T) {
	for name, id := range map[string]string{
		"empty":     "",
		"too long":  strings.Repeat("x", 256),
		"NUL":       "a\x00b",
		"not UTF-8": "a\xff",
	} {
		t.Run(name, func(t *testing.T) {
			a := testkit.NewApp(t, livestore.New(), nil)
			a.SessionPage("/as", func(s *bridge.Session) (any, error) {
				err := s.Login(id)
				require.ErrorIs(t, err, bridge.ErrUserID)
				require.ErrorContains(t, err, "1 to 255 bytes")
				return nil, err
			})
			w := webclient.Pocket{}.Get(t, a.Handler(a.Mux), "/as")
			require.Equal(t, http.StatusBadRequest, w.Code)
		})
	}
}
