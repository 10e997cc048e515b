package security_test

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

// Whatever a client sends in the fields that the Bridge reads, however much of it, is an error of the
// client's, or is ignored.
func TestS19_NoInputIsA500(t *testing.T) {
	const most = 200 << 10 // bytes; net/http accepts 1 MiB
	a := testkit.NewTicketApp(t, livestore.New(), &bridge.Options{
		Keys: [][]byte{testkit.Key()}, TokenFrom: bridge.TokenFromHeader("X-Token"),
		TrustedProxies: []string{"127.0.0.1"},
	})
	site := a.Serve(t)
	owner := webclient.NewBrowser(t, site)
	owner.OK("/inc")
	used := webclient.NewBrowser(t, site)
	used.OK("/inc")
	sid, cid := used.Cookie("sid"), used.Cookie("sid.cid")
	many := func(one string) string { return strings.TrimSuffix(strings.Repeat(one, most/len(one)), " ") }
	spoiled := sid[:len(sid)-2] + "AA"
	fields := map[string][]string{
		"Cookie": {
			many("sid=" + spoiled + "; "), many("sid=" + sid + "; "), many("sid.cid=" + cid + "; "), many("sid="), many("; "),
			"sid=" + many("x"), "sid=" + many("%00"), many("a=b; ") + "sid=" + sid,
		},
		"X-Token":                  {many(sid), many("Bearer "), "Bearer " + spoiled, "\x80", " "},
		"Sec-Websocket-Protocol":   {many("sessionbridge.ticket.x, "), "sessionbridge.ticket." + many("y"), many(",")},
		"X-Ticket":                 {many("z"), strings.Repeat("A", 43), "\xff"},
		"X-Forwarded-For":          {many("192.0.2.1, "), many("["), many("::1,"), many("x")},
		"Forwarded":                {many("for=192.0.2.1, "), many(`for="`), many(`for="\`), many(";")},
		"X-Forwarded-Proto":        {many("https, ")},
		"Origin":                   {many("https://x."), "https://" + many("["), "\x80"},
		"User-Agent":               {many("x"), many("\xff")},
		"Accept":                   {many("application/json;q=0.1, "), many(";q=")},
		"Sec-Fetch-Site":           {many("cross-site")},
		"Cache-Control":            {many("no-cache, ")},
		"Sec-Session-Response":     {many("a.")},
		"Secure-Session-Response":  {many("a.")},
		"Sec-Secure-Session-Id":    {many("0")},
		"Sec-Websocket-Extensions": {many("permessage-deflate; x, ")},
	}
	for name, values := range fields {
		for _, value := range values {
			for _, path := range []string{"/get", "/inc", "/redeem", "/ticket", "/login?user=ada"} {
				rep, err := webclient.NewBrowser(t, site).WithoutJar().Try(t.Context(), path, name, value)
				require.NoError(t, err)
				require.Less(t, rep.Status, http.StatusInternalServerError, "%s of %s: %.60q", path, name, value)
			}
			_, res, err := webclient.NewBrowser(t, site).TryDial("/ws", http.Header{name: {value}})
			if err != nil && res != nil {
				require.Less(t, res.StatusCode, http.StatusInternalServerError, "a handshake with %s: %.60q", name, value)
			}
		}
	}
	require.Equal(t, "1", owner.OK("/get"), "and nothing has happened to others")
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, owner.Get("/get", "User-Agent", strings.Repeat("x", 2<<20)).Status)
}
