package bridge_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
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
			a := makeApp(t, livestore.New(), nil)
			a.session("/as", func(s *bridge.Session) (any, error) {
				err := s.Login(id)
				require.ErrorIs(t, err, bridge.ErrUserID)
				require.ErrorContains(t, err, "1 to 255 bytes")
				return nil, err
			})
			w := pocket{}.get(t, a.Handler(a.mux), "/as")
			require.Equal(t, http.StatusBadRequest, w.Code)
		})
	}
}
