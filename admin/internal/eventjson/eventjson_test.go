package eventjson_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/admin/internal/eventjson"
	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testmain"
)

func TestMain(m *testing.M) { testmain.Run(m) }

// events has one of each kind, with every field set.
var events = map[string]bridge.Event{
	`{"type":"session.set","data":{"session":"s","client":"c","user":"ada","previousUser":"bob","new":true,
		"init":true,"login":true,"rotated":true,"keys":["cart"],"via":"http"}}`: bridge.SessionSet{
		ClientID: "c", SessionID: "s", UserID: "ada", PrevUserID: "bob", IsNew: true, IsInit: true, Login: true,
		Rotated: true, Keys: []string{"cart"}, Via: bridge.ViaHTTP,
	},
	`{"type":"session.destroy","data":{"session":"s","client":"c","user":"ada","reason":"logout","via":"socket"}}`: bridge.SessionDestroy{
		ClientID: "c", SessionID: "s", UserID: "ada", Reason: bridge.ReasonLogout, Via: bridge.ViaSocket,
	},
	`{"type":"cleanup","data":{"cleared":3,"seconds":0.25}}`: bridge.Cleanup{Cleared: 3, Took: 250 * time.Millisecond},
	`{"type":"conn.open","data":{"conn":"n","client":"c","session":"s","user":"ada","addr":"192.0.2.1",
		"userAgent":"ua"}}`: bridge.ConnOpen{ConnID: "n", ClientID: "c", SessionID: "s", UserID: "ada", Addr: "192.0.2.1", UserAgent: "ua"},
	`{"type":"conn.close","data":{"conn":"n","client":"c","session":"s","user":"ada","code":4500,
		"reason":"destroyed","seconds":90,"received":{"messages":1,"bytes":2},"sent":{"messages":3,"bytes":4}}}`: bridge.ConnClose{
		ConnID: "n", ClientID: "c", SessionID: "s", UserID: "ada", Code: bridge.CodeDestroyed, Reason: "destroyed",
		Open: 90 * time.Second, Received: bridge.Traffic{Messages: 1, Bytes: 2}, Sent: bridge.Traffic{Messages: 3, Bytes: 4},
	},
	`{"type":"failure","data":{"doing":"load","session":"s","error":"no"}}`: bridge.Failure{
		Doing: "load", SessionID: "s", Err: errors.New("no"),
	},
	`{"type":"credential.rejected","data":{"credential":"ticket","reason":"token","client":"c","session":"s",
		"user":"ada","addr":"192.0.2.1","userAgent":"ua","via":"api"}}`: bridge.CredentialRejected{
		Credential: bridge.CredentialTicket, Reason: bridge.RejectedToken, ClientID: "c", SessionID: "s", UserID: "ada",
		Addr: "192.0.2.1", UserAgent: "ua", Via: bridge.ViaAPI,
	},
	`{"type":"missed","data":{"events":7}}`: bridge.Missed{Events: 7},
}

func TestEveryEventHasAForm(t *testing.T) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 7000, time.FixedZone("", 3600))
	var types []string
	for want, ev := range events {
		v := reflect.ValueOf(ev)
		for i := range v.NumField() {
			require.False(t, v.Field(i).IsZero(), "%T.%s", ev, v.Type().Field(i).Name)
		}
		var expected map[string]any
		require.NoError(t, json.Unmarshal([]byte(want), &expected))
		expected["timestamp"] = "2026-02-03T03:05:06.000007Z"
		name, got := eventjson.Marshal(at, ev)
		require.Equal(t, expected["type"], name)
		text, err := json.Marshal(expected)
		require.NoError(t, err)
		require.JSONEq(t, string(text), string(got))
		types = append(types, eventjson.Type(ev))
	}
	require.ElementsMatch(t, eventjson.Types(), types)
}

func TestFilter(t *testing.T) {
	for _, ev := range events {
		_, gap := ev.(bridge.Missed)
		_, cleanup := ev.(bridge.Cleanup)
		_, failure := ev.(bridge.Failure)
		for name, c := range map[string]struct {
			filter eventjson.Filter
			want   bool
		}{
			"nothing asked":          {eventjson.Filter{}, true},
			"its type among others":  {eventjson.Filter{Types: []string{"x", eventjson.Type(ev)}}, true},
			"another type":           {eventjson.Filter{Types: []string{"x"}}, gap},
			"the session":            {eventjson.Filter{SessionID: "s"}, !cleanup},
			"another session":        {eventjson.Filter{SessionID: "t"}, gap},
			"the client":             {eventjson.Filter{ClientID: "c"}, !cleanup && !failure},
			"another client":         {eventjson.Filter{ClientID: "d"}, gap},
			"the user":               {eventjson.Filter{UserID: "ada"}, !cleanup && !failure},
			"another user":           {eventjson.Filter{UserID: "eve"}, gap},
			"another client's, mine": {eventjson.Filter{SessionID: "s", ClientID: "d"}, gap},
		} {
			require.Equal(t, c.want, c.filter.Match(ev), "%s: %T", name, ev)
		}
	}
	before := eventjson.Filter{UserID: "bob"}
	require.True(t, before.Match(bridge.SessionSet{UserID: "ada", PrevUserID: "bob"}), "a login in bob's session")
	require.False(t, before.Match(bridge.SessionSet{UserID: "ada"}))
}
