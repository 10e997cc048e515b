package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

// loginAs returns a browser in which the user is logged in, and its session ID.
func loginAs(t *testing.T, url, user string) (*visitor, string) {
	t.Helper()
	v := newVisitor(t, url)
	status, r := v.send(t, http.MethodPost, "/api/login", `{"user":"`+user+`"}`, "User-Agent", firefox)
	require.Equal(t, http.StatusOK, status, r.Error)
	return v, r.SessionID
}

// idsOf returns the devices' IDs, sorted, because devices that began in the same millisecond are in
// any order.
func idsOf(devices []device) (ids []string) {
	for _, d := range devices {
		ids = append(ids, d.ID)
	}
	return sorted(ids...)
}

func sorted(ids ...string) []string {
	slices.Sort(ids)
	return ids
}

// deviceOf returns the device with the ID, or the zero device.
func deviceOf(devices []device, id string) device {
	for _, d := range devices {
		if d.ID == id {
			return d
		}
	}
	return device{}
}

// socketsOf returns the IDs of all the devices' sockets.
func socketsOf(devices []device) (ids []string) {
	for _, d := range devices {
		for _, s := range d.Sockets {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// shows is an argument for until: a push with these devices.
func shows(ids ...string) func(reply) bool {
	return func(r reply) bool { return r.Event == "devices" && slices.Equal(idsOf(r.Devices), sorted(ids...)) }
}

func TestUserSeesAllOwnDevicesAndNoOthers(t *testing.T) {
	url := serve(t)
	one, first := loginAs(t, url, "ada")
	ws := one.watch(t)
	two, second := loginAs(t, url, "ada")
	bob, others := loginAs(t, url, "bob")
	bob.watch(t)

	listed := one.get(t, "/api/devices")
	require.Equal(t, first, listed.SessionID, "the current device")
	require.Equal(t, sorted(first, second), idsOf(listed.Devices))
	d := deviceOf(listed.Devices, first)
	require.Equal(t, "Firefox on Linux", d.Name)
	require.Equal(t, "127.0.0.1", d.Addr)
	require.False(t, d.Created.IsZero())
	require.False(t, d.Seen.Before(d.Created))
	require.EqualValues(t, 1, d.Writes, "the login has begun the session")
	require.Positive(t, d.Reads)
	require.Equal(t, []string{ws.do(t, `{"do":"get"}`).ConnID}, socketsOf(listed.Devices))
	require.Equal(t, second, two.get(t, "/api/devices").SessionID)
	require.Equal(t, []string{others}, idsOf(bob.get(t, "/api/devices").Devices))
}

func TestDevicesAreListedLive(t *testing.T) {
	url := serve(t)
	one, first := loginAs(t, url, "ada")
	ws := one.watch(t)
	two, second := loginAs(t, url, "ada")
	ws.until(t, shows(first, second))
	socket := two.watch(t).do(t, `{"do":"get"}`).ConnID
	ws.until(t, func(r reply) bool { return slices.Contains(socketsOf(r.Devices), socket) })
	two.post(t, "/api/increment", `{"by":1}`)
	ws.until(t, func(r reply) bool { return deviceOf(r.Devices, second).Writes == 2 })
	two.post(t, "/api/login", `{"user":"bob"}`)
	ws.until(t, shows(first))
	two.post(t, "/api/login", `{"user":"ada"}`)
	ws.until(t, shows(first, second))
	two.post(t, "/api/logout", "")
	ws.until(t, shows(first))
}

func TestSignOutEndsAnotherDeviceAndTellsItFirst(t *testing.T) {
	url := serve(t)
	one, first := loginAs(t, url, "ada")
	two, second := loginAs(t, url, "ada")
	here, there := one.watch(t), two.watch(t)
	require.Equal(t, 1, one.post(t, "/api/signout", `{"device":"`+second+`"}`).Count)
	require.Equal(t, "You were signed out on another device.", there.until(t, func(r reply) bool { return r.Event == "over" }).Text)
	require.Equal(t, bridge.CodeDestroyed, there.closed(t))
	here.until(t, shows(first))
	status, _ := two.send(t, http.MethodGet, "/api/devices", "")
	require.Equal(t, http.StatusUnauthorized, status)
	require.True(t, *here.do(t, `{"do":"get"}`).OK, "this device stays signed in")
}

func TestSignOutOfThisDeviceIsALogout(t *testing.T) {
	one, first := loginAs(t, serve(t), "ada")
	ws := one.watch(t)
	one.post(t, "/api/signout", `{"device":"`+first+`"}`)
	for {
		_, data, err := ws.Read(t.Context())
		if err != nil {
			require.EqualValues(t, bridge.CodeDestroyed, websocket.CloseStatus(err))
			break
		}
		require.NotEqual(t, "over", parse(t, data).Event, "the user has signed out on this device")
	}
	require.Empty(t, one.get(t, "/api/session").User)
}

// TestForeignDevicesLookLikeNone: the answer for another user's device is the same as for one that
// never existed, byte for byte.
func TestForeignDevicesLookLikeNone(t *testing.T) {
	url := serve(t)
	ada, _ := loginAs(t, url, "ada")
	bob, bobs := loginAs(t, url, "bob")
	anonymous := newVisitor(t, url).get(t, "/api/session").SessionID
	ws := bob.watch(t)
	socket := ws.do(t, `{"do":"get"}`).ConnID
	_, ended := loginAs(t, url, "ada")
	ada.post(t, "/api/signout", `{"device":"`+ended+`"}`)

	for path, c := range map[string]struct {
		field string
		ids   []string
		err   error
	}{
		"/api/signout": {"device", []string{bobs, anonymous, ended, "00000000-0000-4000-8000-000000000000", "x"}, errNoDevice},
		"/api/close":   {"socket", []string{socket, bobs, "00000000-0000-4000-8000-000000000000", "x"}, errNoSocket},
	} {
		for _, id := range c.ids {
			status, r := ada.send(t, http.MethodPost, path, `{"`+c.field+`":"`+id+`"}`)
			require.Equal(t, http.StatusNotFound, status, id)
			require.Equal(t, c.err.Error(), r.Error, id)
		}
	}
	require.Equal(t, "bob", ws.do(t, `{"do":"get"}`).User, "the socket is unaffected")
}

func TestSignOutOfOtherDevicesKeepsThisOne(t *testing.T) {
	url := serve(t)
	here, first := loginAs(t, url, "ada")
	bob, bobs := loginAs(t, url, "bob")
	var others []*wire
	for range 2 {
		other, _ := loginAs(t, url, "ada")
		others = append(others, other.watch(t))
	}
	require.Equal(t, 2, here.post(t, "/api/signout/others", "").Count)
	for _, ws := range others {
		require.Equal(t, bridge.CodeDestroyed, ws.closed(t))
	}
	require.Equal(t, []string{first}, idsOf(here.get(t, "/api/devices").Devices))
	require.Equal(t, []string{bobs}, idsOf(bob.get(t, "/api/devices").Devices))
	require.Zero(t, here.post(t, "/api/signout/others", "").Count)
}

func TestSignOutEverywhereEndsThisOneToo(t *testing.T) {
	url := serve(t)
	here, _ := loginAs(t, url, "ada")
	other, _ := loginAs(t, url, "ada")
	bob, bobs := loginAs(t, url, "bob")
	sockets := []*wire{here.watch(t), other.watch(t)}
	require.Equal(t, 2, here.post(t, "/api/signout/everywhere", "").Count)
	for _, ws := range sockets {
		require.Equal(t, bridge.CodeDestroyed, ws.closed(t))
	}
	require.Empty(t, here.get(t, "/api/session").User)
	require.Equal(t, []string{bobs}, idsOf(bob.get(t, "/api/devices").Devices))
}

func TestSignOutEverywhereWantsARecentLogin(t *testing.T) {
	sessions := livestore.New()
	url := serveOn(t, sessions)
	here, id := loginAs(t, url, "ada")
	other, second := loginAs(t, url, "ada")
	rec, err := sessions.Get(t.Context(), id)
	require.NoError(t, err)
	rec.LoggedIn, rec.WriteID = rec.LoggedIn.Add(-recentLogin), store.WriteID{1}
	_, err = sessions.Set(t.Context(), rec)
	require.NoError(t, err)

	status, r := here.send(t, http.MethodPost, "/api/signout/everywhere", "")
	require.Equal(t, http.StatusUnauthorized, status)
	require.Contains(t, r.Error, "a login within the last 5 minutes")
	require.Equal(t, sorted(id, second), idsOf(other.get(t, "/api/devices").Devices), "no device is signed out")
	here.post(t, "/api/login", `{"user":"ada"}`)
	require.Equal(t, 2, here.post(t, "/api/signout/everywhere", "").Count)
}

func TestCloseEndsOneSocketAndNotTheSession(t *testing.T) {
	url := serve(t)
	one, _ := loginAs(t, url, "ada")
	two, _ := loginAs(t, url, "ada")
	mine, kept, theirs := one.watch(t), one.watch(t), two.watch(t)
	for _, ws := range []*wire{mine, theirs} { // of any of the user's devices
		id := ws.do(t, `{"do":"get"}`).ConnID
		one.post(t, "/api/close", `{"socket":"`+id+`"}`)
		require.Equal(t, codeClosedByUser, ws.closed(t))
		closed := kept.until(t, func(r reply) bool { return r.Event == "devices" && !slices.Contains(socketsOf(r.Devices), id) })
		require.Len(t, closed.Devices, 2)
	}
	require.Equal(t, "ada", kept.do(t, `{"do":"get"}`).User)
}

func TestNotificationReachesAllOwnSockets(t *testing.T) {
	url := serve(t)
	one, _ := loginAs(t, url, "ada")
	two, _ := loginAs(t, url, "ada")
	bob, _ := loginAs(t, url, "bob")
	mine, other, stranger := one.watch(t), two.watch(t), bob.watch(t)
	status, r := one.send(t, http.MethodPost, "/api/notify", `{"text":"<b>tea</b> is ready ☕"}`, "User-Agent", firefox)
	require.Equal(t, http.StatusOK, status, r.Error)
	for _, ws := range []*wire{mine, other} {
		got := ws.until(t, func(r reply) bool { return r.Event == "notify" })
		require.Equal(t, "<b>tea</b> is ready ☕", got.Text)
		require.Equal(t, "Firefox on Linux", got.From)
	}
	bob.post(t, "/api/notify", `{"text":"for bob"}`)
	require.Equal(t, "for bob", stranger.until(t, func(r reply) bool { return r.Event == "notify" }).Text, "the first notification")
}

func TestDevicesAreForUsersOnly(t *testing.T) {
	v := newVisitor(t, serve(t))
	for range 2 { // without a session, then with one without a user
		for _, c := range [][3]string{
			{http.MethodGet, "/api/devices", ""},
			{http.MethodPost, "/api/signout", `{"device":"x"}`},
			{http.MethodPost, "/api/signout/others", ""},
			{http.MethodPost, "/api/signout/everywhere", ""},
			{http.MethodPost, "/api/close", `{"socket":"x"}`},
			{http.MethodPost, "/api/notify", `{"text":"x"}`},
		} {
			status, r := v.send(t, c[0], c[1], c[2])
			require.Equal(t, http.StatusUnauthorized, status, c[1])
			require.Contains(t, r.Error, "POST /api/login", c[1])
		}
		v.get(t, "/api/session")
	}
}

func TestBadRequestsAboutDevicesAreExplained(t *testing.T) {
	v, id := loginAs(t, serve(t), "ada")
	for path, c := range map[string]struct {
		field string
		limit int
		says  string
	}{
		"/api/signout": {"device", maxID, "at most 64 bytes"},
		"/api/close":   {"socket", maxID, "at most 64 bytes"},
		"/api/notify":  {"text", maxText, "at most 200 bytes"},
	} {
		for body, says := range map[string]string{
			``:                              "the request is empty",
			`[]`:                            "not an array",
			`{}`:                            `"` + c.field + `" is missing: `,
			`{"` + c.field + `":null}`:      `"` + c.field + `" is missing: `,
			`{"` + c.field + `":" "}`:       c.says,
			`{"` + c.field + `":1}`:         `"` + c.field + `" can't be a number`,
			`{"` + c.field + `":"a\u0000"}`: `"` + c.field + `" has control characters`,
			`{"` + c.field + `":"` + strings.Repeat("a", c.limit+1) + `"}`:  `"` + c.field + `" is too long: ` + c.says,
			`{"` + c.field + `":"a","user":"bob"}`:                          `unknown field "user"`,
			`{"` + c.field + `":"` + strings.Repeat("a", maxMessage) + `"}`: "at most 16 KiB",
		} {
			status, r := v.send(t, http.MethodPost, path, body)
			require.Equal(t, http.StatusBadRequest, status, "%s %.50s", path, body)
			require.Contains(t, r.Error, says, "%s %.50s", path, body)
		}
	}
	require.Equal(t, []string{id}, idsOf(v.get(t, "/api/devices").Devices))
}
