package security_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A page of a sibling host can embed a stream of the application, as an image or with fetch in the
// mode no-cors. The browser sends the session cookie along (SameSite), and no Origin.
func TestS7_StreamsThatOtherOriginsEmbed(t *testing.T) {
	embeds := false
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{
		CheckOrigin: func(*http.Request) bool { return embeds },
	})
	result := a.AttachPage("/stream")
	opened := testkit.Record[bridge.ConnOpen](t, a.Bridge)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	for _, c := range []struct {
		site, mode string
		allowed    bool
	}{
		{"same-site", "no-cors", false},
		{"cross-site", "no-cors", false},
		{"same-origin", "no-cors", true}, // an image of the application's own page
		{"same-origin", "cors", true},    // its EventSource
		{"cross-site", "navigate", true}, // a link to a page that stays open
		{"none", "navigate", true},
		{"", "", true},
	} {
		var header []string
		if c.site != "" {
			header = []string{"Sec-Fetch-Site", c.site, "Sec-Fetch-Mode", c.mode}
		}
		rep := br.Get("/stream", header...)
		err := await.Receive(t, result)
		if c.allowed {
			require.NoError(t, err, c)
			require.Len(t, opened.Rest(), 1)
			continue
		}
		require.ErrorIs(t, err, bridge.ErrOrigin, c)
		require.Equal(t, http.StatusForbidden, rep.Status)
		require.Empty(t, opened.Rest())
		embeds = true
		require.Equal(t, http.StatusOK, br.Get("/stream", header...).Status, "CheckOrigin may allow it")
		require.NoError(t, await.Receive(t, result))
		require.Len(t, opened.Rest(), 1)
		embeds = false
	}
}
