package webclient

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// NewSecureBrowser returns a browser without cookies that takes its connections to the site for
// HTTPS, as behind a proxy that ends TLS: it sends Secure cookies.
func NewSecureBrowser(t testing.TB, s *Site) *Browser {
	t.Helper()
	transport := &http.Transport{DialTLSContext: s.Dial}
	t.Cleanup(transport.CloseIdleConnections)
	return NewBrowserOver(t, "https://app.test", transport)
}

// Device is what a browser with Device Bound Session Credentials keeps of a session: the key and
// the server's instructions. Its methods make the requests that the browser makes by itself.
type Device struct {
	Browser *Browser
	Key     crypto.Signer
	Alg     jose.SignatureAlgorithm
	Offer   Offer

	ID         string // of the session; "" until it is registered
	RefreshURL string
	CookieName string
	Attributes string
	Challenge  string // that the next refresh signs; "": the server is to give one
}

// Offer is the content of a Secure-Session-Registration header.
type Offer struct{ Algorithms, Path, Challenge string }

var offerForm = regexp.MustCompile(`^\(([A-Z0-9 ]+)\);path="([^"]+)";challenge="([^"]+)"$`)

// ReadOffer returns the offer of a response; false if there is none.
func ReadOffer(t testing.TB, h http.Header) (Offer, bool) {
	t.Helper()
	lines := h.Values("Secure-Session-Registration")
	if len(lines) == 0 {
		return Offer{}, false
	}
	require.Len(t, lines, 1)
	m := offerForm.FindStringSubmatch(lines[0])
	require.NotNil(t, m, "not an offer: %s", lines[0])
	return Offer{m[1], m[2], m[3]}, true
}

// NewDevice returns a device with a new key for the offer of a response, which must have one.
func (br *Browser) NewDevice(h http.Header) *Device {
	br.T.Helper()
	offer, ok := ReadOffer(br.T, h)
	require.True(br.T, ok, "the response offers no registration")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(br.T, err)
	return &Device{Browser: br, Key: key, Alg: jose.ES256, Offer: offer}
}

// Register makes a device for the offer of a response and registers its key, which must succeed.
func (br *Browser) Register(h http.Header) *Device {
	br.T.Helper()
	d := br.NewDevice(h)
	rep := d.TryRegister()
	require.Equal(br.T, http.StatusOK, rep.Status, rep.Body)
	return d
}

// Proof returns the JWT for a challenge. With embed it contains the key, as at a registration.
func (d *Device) Proof(challenge string, embed bool) string {
	return d.Sign(challenge, &jose.SignerOptions{EmbedJWK: embed}, "dbsc+jwt")
}

// Sign is Proof with other headers.
func (d *Device) Sign(challenge string, opts *jose.SignerOptions, typ string) string {
	t := d.Browser.T
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: d.Alg, Key: d.Key}, opts.WithType(jose.ContentType(typ)))
	require.NoError(t, err)
	payload, err := json.Marshal(map[string]string{"jti": challenge})
	require.NoError(t, err)
	signed, err := signer.Sign(payload)
	require.NoError(t, err)
	text, err := signed.CompactSerialize()
	require.NoError(t, err)
	return text
}

// TryRegister registers the key, and follows the instructions of the answer if it succeeds.
func (d *Device) TryRegister() Reply {
	d.Browser.T.Helper()
	rep := d.Browser.Post(d.Offer.Path, "Secure-Session-Response", d.Proof(d.Offer.Challenge, true))
	if rep.Status == http.StatusOK {
		d.follow(rep)
	}
	return rep
}

// follow takes over the instructions of a registration, which the bound cookie must match.
func (d *Device) follow(rep Reply) {
	t := d.Browser.T
	t.Helper()
	require.Equal(t, "application/json", rep.Header.Get("Content-Type"))
	var in struct {
		SessionID   string          `json:"session_identifier"`
		RefreshURL  string          `json:"refresh_url"`
		Scope       map[string]bool `json:"scope"`
		Credentials []struct{ Type, Name, Attributes string }
	}
	require.NoError(t, json.Unmarshal([]byte(rep.Body), &in), rep.Body)
	require.Equal(t, map[string]bool{"include_site": false}, in.Scope)
	require.Len(t, in.Credentials, 1)
	require.Equal(t, "cookie", in.Credentials[0].Type)
	d.ID, d.RefreshURL = in.SessionID, in.RefreshURL
	d.CookieName, d.Attributes = in.Credentials[0].Name, in.Credentials[0].Attributes
	d.checkCookie(rep)
}

// checkCookie checks that the response sets the cookie of the instructions, with their attributes.
func (d *Device) checkCookie(rep Reply) {
	t := d.Browser.T
	t.Helper()
	lines := rep.Header.Values("Set-Cookie")
	require.Len(t, lines, 1)
	parts := strings.Split(lines[0], "; ")
	require.True(t, strings.HasPrefix(parts[0], d.CookieName+"="), lines[0])
	var attributes []string
	for _, part := range parts[1:] {
		if !strings.HasPrefix(part, "Max-Age=") {
			attributes = append(attributes, part)
		}
	}
	require.Equal(t, d.Attributes, strings.Join(attributes, "; "))
}

// Refresh refreshes the bound cookie as a browser does: with the challenge that it has, or else
// with one that it asks for. It returns the last response, and the number of requests.
func (d *Device) Refresh() (rep Reply, requests int) {
	d.Browser.T.Helper()
	for requests < 4 {
		requests++
		if d.Challenge == "" {
			rep = d.TryRefresh("")
		} else {
			rep = d.TryRefresh(d.Proof(d.Challenge, false))
		}
		if d.Challenge = d.ReadChallenge(rep); rep.Status != http.StatusForbidden || d.Challenge == "" {
			break
		}
	}
	if rep.Status == http.StatusOK && rep.Body == "" {
		d.checkCookie(rep)
	}
	return rep, requests
}

// Fresh is Refresh, which must succeed.
func (d *Device) Fresh() {
	d.Browser.T.Helper()
	rep, _ := d.Refresh()
	require.Equal(d.Browser.T, http.StatusOK, rep.Status)
	require.NotEmpty(d.Browser.T, rep.Header.Get("Set-Cookie"))
	require.Empty(d.Browser.T, rep.Body)
}

// TryRefresh makes one request of a refresh with the JWT, "" for none. Other goroutines than the
// test's may call it.
func (d *Device) TryRefresh(jwt string) Reply {
	header := []string{"Sec-Secure-Session-Id", d.ID}
	if jwt != "" {
		header = append(header, "Secure-Session-Response", jwt)
	}
	return d.Browser.Post(d.RefreshURL, header...)
}

var challengeForm = regexp.MustCompile(`^"([^"]+)";id="([^"]+)"$`)

// ReadChallenge returns the challenge of a response, "" for none.
func (d *Device) ReadChallenge(rep Reply) string {
	d.Browser.T.Helper()
	line := rep.Header.Get("Secure-Session-Challenge")
	if line == "" {
		return ""
	}
	m := challengeForm.FindStringSubmatch(line)
	require.NotNil(d.Browser.T, m, "not a challenge: %s", line)
	require.Equal(d.Browser.T, d.ID, m[2])
	return m[1]
}

// Post sends an empty POST request with header lines: names and values in turn. Other goroutines
// than the test's may call it.
func (br *Browser) Post(path string, header ...string) Reply {
	rep, err := br.try(br.T.Context(), http.MethodPost, path, header)
	if err != nil {
		br.T.Errorf("POST %s: %v", path, err)
	}
	return rep
}
