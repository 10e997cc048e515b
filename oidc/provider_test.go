package oidc_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/oidc"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestNewNamesWhatIsWrong: the field, or that the provider can't be reached.
func TestNewNamesWhatIsWrong(t *testing.T) {
	p := newIDP(t)
	for name, change := range map[string]func(o *oidc.Options){
		"Issuer":        func(o *oidc.Options) { o.Issuer = "" },
		"ClientID":      func(o *oidc.Options) { o.ClientID = "" },
		"RedirectURL":   func(o *oidc.Options) { o.RedirectURL = "/callback" },
		"ReturnPath":    func(o *oidc.Options) { o.ReturnPath = "//evil.test" },
		"PostLogoutURL": func(o *oidc.Options) { o.PostLogoutURL = "bye" },
		"LoginWithin":   func(o *oidc.Options) { o.LoginWithin = 2 * time.Hour },
		"Leeway":        func(o *oidc.Options) { o.Leeway = time.Hour },
		"Timeout":       func(o *oidc.Options) { o.Timeout = -1 },
		"Store":         func(o *oidc.Options) { o.Store = teststore.Minimal{Store: livestore.New()} },
	} {
		t.Run(name, func(t *testing.T) {
			o := &oidc.Options{
				Issuer: issuer, ClientID: clientID, RedirectURL: "https://app.test/callback", HTTPClient: p.Client(),
				Store: livestore.New(),
			}
			change(o)
			_, err := oidc.New(t.Context(), nil, o)
			require.ErrorContains(t, err, "oidc: Options."+name+": ")
		})
	}
	_, err := oidc.New(t.Context(), nil, nil)
	require.ErrorContains(t, err, "Issuer")
	o := &oidc.Options{
		Issuer: issuer, ClientID: clientID, RedirectURL: "https://app.test/callback", HTTPClient: p.Client(),
		Store: namespacesOf{livestore.New()},
	}
	_, err = oidc.New(t.Context(), nil, o)
	require.ErrorIs(t, err, bridge.ErrUnsupported)
	require.ErrorContains(t, err, "store.UserIndex")
	o.Store = nil
	p.setDown(true)
	_, err = oidc.New(t.Context(), nil, o)
	require.ErrorIs(t, err, oidc.ErrUnreachable)
	p.setDown(false)
	o.Issuer = "https://id.test/"
	p.issuer = "https://id.test"
	_, err = oidc.New(t.Context(), nil, o)
	require.Error(t, err, "an issuer that isn't the provider's own")
}

// namespacesOf is a store whose namespaces have no index.
type namespacesOf struct{ store.Store }

func (n namespacesOf) App(string) store.Store { return struct{ store.Store }{n.Store} }

// TestHTTPStatusOfOthers: an error of the Bridge keeps its status.
func TestHTTPStatusOfOthers(t *testing.T) {
	require.Equal(t, http.StatusServiceUnavailable, oidc.HTTPStatus(bridge.ErrStoreUnavailable))
	require.Equal(t, http.StatusOK, oidc.HTTPStatus(nil))
}
