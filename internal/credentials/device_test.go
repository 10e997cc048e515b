package credentials_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
)

func withDevice(cfg *config) { cfg.DeviceName = "sid.device" }

func TestDeviceCookieIsBesideTheSessionCookie(t *testing.T) {
	c := newCodec(withDevice).DeviceCookie()
	require.Equal(t, http.Cookie{
		Name: "__Host-sid.device", Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}, c)
	c = newCodec(func(cfg *config) {
		withDevice(cfg)
		cfg.Path, cfg.Partitioned, cfg.SameSite = "/app", true, http.SameSiteNoneMode
	}).DeviceCookie()
	require.Equal(t, http.Cookie{
		Name: "sid.device", Path: "/app", Secure: true, HttpOnly: true, SameSite: http.SameSiteNoneMode, Partitioned: true,
	}, c)
}

func TestDeviceCookieIsRemovedWithTheSession(t *testing.T) {
	for _, secure := range []bool{true, false} {
		codec := newCodec(withDevice)
		x := read(codec, request(set(t, codec, secure, cred)), secure)
		x.answer.RemoveSession()
		h := x.write(t, get())
		if secure {
			require.Equal(t, "Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Secure; SameSite=Lax",
				attributes(h, "__Host-sid.device"))
		} else {
			require.Len(t, h["Set-Cookie"], 1, "only HTTPS has it")
		}
	}
}

func TestWithheldAnswersLeaveTheSessionCookie(t *testing.T) {
	for name, c := range map[string]struct {
		guest, remove, withheld bool
	}{
		"a guest's session": {true, false, true},
		"a login":           {false, false, false},
		"a removal":         {false, true, true},
	} {
		codec := newCodec(nil)
		x := read(codec, request(set(t, codec, true, cred)), true)
		x.answer.Withhold()
		if c.remove {
			x.answer.RemoveSession()
		} else {
			x.answer.SetSession(cred, time.Hour)
		}
		h := make(http.Header)
		effects, err := x.answer.WriteTo(h, credentials.Response{
			Request: get(), Asked: true, Opened: true, Created: true, Guest: c.guest,
		})
		require.NoError(t, err)
		require.Equal(t, c.withheld, effects.Withheld, name)
		require.Equal(t, c.withheld, attributes(h, "__Host-sid") == "", name)
	}
}
