package dbsc_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/dbsc"
)

// both are all algorithms.
var both = []dbsc.Algorithm{dbsc.ES256, dbsc.RS256}

func newP256(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

// newRSA returns an RSA key, always the same: making one takes long.
var newRSA = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// token is a JWT to be signed.
type token struct {
	alg     jose.SignatureAlgorithm // default ES256
	key     any
	typ     string // default dbsc+jwt
	embed   bool
	payload string // default a challenge
	header  map[jose.HeaderKey]any
}

func (k token) sign(t testing.TB) string {
	t.Helper()
	if k.alg == "" {
		k.alg = jose.ES256
	}
	if k.typ == "" {
		k.typ = "dbsc+jwt"
	}
	if k.payload == "" {
		k.payload = `{"jti":"challenge"}`
	}
	opts := &jose.SignerOptions{EmbedJWK: k.embed, ExtraHeaders: k.header}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: k.alg, Key: k.key}, opts.WithType(jose.ContentType(k.typ)))
	require.NoError(t, err)
	signed, err := signer.Sign([]byte(k.payload))
	require.NoError(t, err)
	text, err := signed.CompactSerialize()
	require.NoError(t, err)
	return text
}

// registered returns the key of a valid registration.
func registered(t testing.TB, private any, alg jose.SignatureAlgorithm) dbsc.Key {
	t.Helper()
	k, challenge, err := dbsc.Register(token{key: private, alg: alg, embed: true}.sign(t), both)
	require.NoError(t, err)
	require.Equal(t, "challenge", challenge)
	return k
}

func TestKeyIsProvedAgain(t *testing.T) {
	for alg, private := range map[jose.SignatureAlgorithm]any{jose.ES256: newP256(t), jose.RS256: newRSA()} {
		k := registered(t, private, alg)
		encoded, err := k.Bytes()
		require.NoError(t, err)
		k, err = dbsc.ParseKey(encoded)
		require.NoError(t, err)
		challenge, err := k.Verify(token{key: private, alg: alg, payload: `{"jti":"next","aud":"x","iat":1}`}.sign(t))
		require.NoError(t, err)
		require.Equal(t, "next", challenge)
	}
}

func TestRegistrationsThatAreRefused(t *testing.T) {
	private := newP256(t)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	good := token{key: private, embed: true}.sign(t)
	head, body, _ := strings.Cut(good, ".")
	other := token{key: newP256(t), embed: true}.sign(t)
	otherHead, _, _ := strings.Cut(other, ".")
	rs := newRSA()
	for name, jwt := range map[string]string{
		"empty":                     "",
		"no JWT":                    "challenge",
		"JSON form":                 jsonForm(t, good),
		"without a key":             token{key: private}.sign(t),
		"another type":              token{key: private, embed: true, typ: "jwt"}.sign(t),
		"of another key":            otherHead + "." + body,
		"damaged signature":         good[:len(good)-4] + "AAAA",
		"damaged payload":           head + ".e30." + good[strings.LastIndex(good, ".")+1:],
		"no challenge":              token{key: private, embed: true, payload: `{}`}.sign(t),
		"a number for a challenge":  token{key: private, embed: true, payload: `{"jti":1}`}.sign(t),
		"no object":                 token{key: private, embed: true, payload: `"challenge"`}.sign(t),
		"P-384":                     token{key: p384, alg: jose.ES384, embed: true}.sign(t),
		"RSA-PSS":                   token{key: rs, alg: jose.PS256, embed: true}.sign(t),
		"a symmetric key":           token{key: []byte(strings.Repeat("k", 32)), alg: jose.HS256}.sign(t),
		"alg none":                  unsigned(`{"alg":"none","typ":"dbsc+jwt"}`),
		"a critical header":         token{key: private, embed: true, header: map[jose.HeaderKey]any{"crit": []string{"b64"}, "b64": true}}.sign(t),
		"more than any browser has": token{key: private, embed: true, payload: `{"jti":"` + strings.Repeat("x", 8<<10) + `"}`}.sign(t),
	} {
		_, _, err := dbsc.Register(jwt, both)
		require.ErrorIs(t, err, dbsc.ErrProof, name)
	}
	rsaJWT := token{key: rs, alg: jose.RS256, embed: true}.sign(t)
	_, _, err = dbsc.Register(rsaJWT, []dbsc.Algorithm{dbsc.ES256})
	require.ErrorIs(t, err, dbsc.ErrProof, "RS256 that isn't allowed")
	_, _, err = dbsc.Register(good, []dbsc.Algorithm{dbsc.RS256})
	require.ErrorIs(t, err, dbsc.ErrProof, "ES256 that isn't allowed")
	_, _, err = dbsc.Register(token{key: p384, alg: jose.ES384, embed: true}.sign(t), []dbsc.Algorithm{"ES384"})
	require.ErrorIs(t, err, dbsc.ErrProof, "an algorithm that this package doesn't know")
	_, _, err = dbsc.Register(good, nil)
	require.ErrorIs(t, err, dbsc.ErrProof, "no algorithm is allowed")
}

func TestRSAKeysHaveAFairSize(t *testing.T) {
	for bits, ok := range map[uint]bool{1024: false, 2047: false, 2048: true, 4096: true, 4097: false, 16384: false} {
		n := new(big.Int).SetBit(big.NewInt(1), int(bits)-1, 1) // as good as a product of primes here
		encoded, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n, E: 65537})
		require.NoError(t, err)
		_, err = dbsc.ParseKey(encoded)
		if ok {
			require.NoError(t, err, bits)
		} else {
			require.ErrorIs(t, err, dbsc.ErrProof, bits)
		}
	}
}

func TestRefreshesThatAreRefused(t *testing.T) {
	private, rs := newP256(t), newRSA()
	k := registered(t, private, jose.ES256)
	for name, jwt := range map[string]string{
		"another key":       token{key: newP256(t)}.sign(t),
		"a key of its own":  token{key: private, embed: true}.sign(t),
		"another algorithm": token{key: rs, alg: jose.RS256}.sign(t),
		"alg none":          unsigned(`{"alg":"none","typ":"dbsc+jwt"}`),
		"HS256":             token{key: []byte(strings.Repeat("k", 32)), alg: jose.HS256}.sign(t),
		"another type":      token{key: private, typ: "logout+jwt"}.sign(t),
	} {
		_, err := k.Verify(jwt)
		require.ErrorIs(t, err, dbsc.ErrProof, name)
	}
}

func TestKeysThatCannotBeRead(t *testing.T) {
	_, err := dbsc.ParseKey([]byte("no key"))
	require.Error(t, err)
	_, err = dbsc.ParseKey(nil)
	require.Error(t, err)
}

func unsigned(head string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(head)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(`{"jti":"challenge"}`)) + "."
}

func jsonForm(t testing.TB, compact string) string {
	t.Helper()
	parts := strings.Split(compact, ".")
	text, err := json.Marshal(map[string]string{"protected": parts[0], "payload": parts[1], "signature": parts[2]})
	require.NoError(t, err)
	return string(text)
}

func FuzzProof(f *testing.F) {
	// Each process of the fuzzer has the same key, so that inputs mean the same to all.
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{7}, 32))
	require.NoError(f, err)
	k := registered(f, private, jose.ES256)
	valid := token{key: private}.sign(f)
	f.Add(valid)
	f.Add(token{key: private, embed: true}.sign(f))
	f.Add(unsigned(`{"alg":"none","typ":"dbsc+jwt"}`))
	f.Add(unsigned(`{"alg":"ES256","typ":"dbsc+jwt","jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}}`))
	f.Add("..")
	f.Fuzz(func(t *testing.T, jwt string) {
		if challenge, err := k.Verify(jwt); err != nil {
			require.ErrorIs(t, err, dbsc.ErrProof)
			require.Empty(t, challenge)
		} else { // nothing else is signed with the key
			require.Equal(t, "challenge", challenge)
			head, _, _ := strings.Cut(jwt, ".")
			want, _, _ := strings.Cut(valid, ".")
			require.Equal(t, want, head)
		}
		if _, challenge, err := dbsc.Register(jwt, both); err != nil {
			require.ErrorIs(t, err, dbsc.ErrProof)
		} else {
			require.NotEmpty(t, challenge)
		}
	})
}
