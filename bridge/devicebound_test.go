package bridge_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestDeviceBoundHasDefaults(t *testing.T) {
	given := &bridge.DeviceBound{}
	b := testkit.NewBridge(t, livestore.New(), &bridge.Options{DeviceBound: given})
	require.Equal(t, &bridge.DeviceBound{Path: "/session-device", Life: 10 * time.Minute}, b.Options().DeviceBound)
	require.Equal(t, &bridge.DeviceBound{}, given, "New copies it")
	b.Options().DeviceBound.Life = time.Hour
	require.Equal(t, 10*time.Minute, b.Options().DeviceBound.Life, "and so does Options")

	b = testkit.NewBridge(t, livestore.New(), &bridge.Options{Path: "/app", DeviceBound: given})
	require.Equal(t, "/app/session-device", b.Options().DeviceBound.Path)
	require.Nil(t, testkit.NewBridge(t, livestore.New(), nil).Options().DeviceBound)
}

func TestDeviceBoundOutOfRangeIsAnError(t *testing.T) {
	for field, opts := range map[string]bridge.Options{
		"DeviceBound.Life:":    {DeviceBound: &bridge.DeviceBound{Life: 2 * time.Minute}},
		"DeviceBound.Life: 25": {DeviceBound: &bridge.DeviceBound{Life: 25 * time.Hour}},
		"DeviceBound.Path:":    {DeviceBound: &bridge.DeviceBound{Path: "device"}},
		`"/"`:                  {DeviceBound: &bridge.DeviceBound{Path: "/"}},
		`"/a b"`:               {DeviceBound: &bridge.DeviceBound{Path: "/a b"}},
		`"/a/"`:                {DeviceBound: &bridge.DeviceBound{Path: "/a/"}},
		`"/other"`:             {DeviceBound: &bridge.DeviceBound{Path: "/other"}, Path: "/app"},
		`"/application"`:       {DeviceBound: &bridge.DeviceBound{Path: "/application"}, Path: "/app"},
		"Domain":               {DeviceBound: &bridge.DeviceBound{}, Domain: "example.com"},
		"SecureNever":          {DeviceBound: &bridge.DeviceBound{}, Secure: bridge.SecureNever},
		"Follow":               {DeviceBound: &bridge.DeviceBound{}, Rebind: bridge.Follow},
	} {
		opts.Keys = [][]byte{testkit.Key()}
		_, err := bridge.New(livestore.New(), &opts)
		require.ErrorContains(t, err, "DeviceBound", field)
		require.ErrorContains(t, err, field)
	}
}

func ExampleDeviceBound() {
	b, err := bridge.New(livestore.New(), &bridge.Options{
		Keys:        [][]byte{[]byte("a key of at least 32 random bytes")},
		Secure:      bridge.SecureAlways,
		DeviceBound: &bridge.DeviceBound{}, // the whole switch
	})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err == nil {
			err = s.Login("ada") // the response offers the browser to bind the session to its device
		}
		if err != nil {
			b.WriteError(w, r, err)
		}
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		if b.MissingReason(r) == bridge.MissingDevice {
			http.Error(w, "Log in again on this device.", http.StatusUnauthorized)
		}
	})
	_ = b.Handler(mux) // it answers /session-device/register and /session-device/refresh as well
}
