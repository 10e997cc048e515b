package dbsc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// Algorithm is a signature algorithm by its name in JWTs.
type Algorithm string

// The algorithms. No other one is accepted, whatever the caller names.
const (
	ES256 Algorithm = "ES256" // ECDSA on P-256
	RS256 Algorithm = "RS256" // RSA with 2048 to 4096 bits, PKCS #1 v1.5
)

const (
	jwtType     = "dbsc+jwt"
	maxJWTBytes = 8 << 10 // one with an RSA key of 4096 bits takes 2 KiB
)

// ErrProof is returned for a JWT that proves nothing.
var ErrProof = errors.New("dbsc: the proof is invalid")

var (
	errLong  = fmt.Errorf("%w: it is too long", ErrProof)
	errType  = fmt.Errorf("%w: its type is not %s", ErrProof, jwtType)
	errKey   = fmt.Errorf("%w: its key is not one of the algorithm", ErrProof)
	errNoKey = fmt.Errorf("%w: it has no key", ErrProof)
	errOwn   = fmt.Errorf("%w: it has a key of its own", ErrProof)
	errCrit  = fmt.Errorf("%w: it has a critical header", ErrProof)
	errNoJTI = fmt.Errorf("%w: it has no challenge", ErrProof)
)

// Key is the public key of a browser's session.
type Key struct {
	public    any // *ecdsa.PublicKey or *rsa.PublicKey
	algorithm Algorithm
}

// Register verifies the JWT of a registration, which is signed with the key that it contains. It
// returns the key, and the challenge that was signed, which the caller checks. The errors are
// ErrProof.
func Register(jwt string, allowed []Algorithm) (k Key, challenge string, err error) {
	jws, head, err := parse(jwt, allowed)
	if err != nil {
		return k, "", err
	}
	if head.JSONWebKey == nil {
		return k, "", errNoKey
	}
	if k, err = newKey(head.JSONWebKey.Key); err != nil {
		return k, "", err
	}
	challenge, err = k.verified(jws, head)
	return k, challenge, err
}

// Verify verifies the JWT of a refresh and returns the challenge that was signed, which the caller
// checks. A JWT that contains a key is refused. The errors are ErrProof.
func (k Key) Verify(jwt string) (challenge string, err error) {
	jws, head, err := parse(jwt, []Algorithm{k.algorithm})
	if err != nil {
		return "", err
	}
	if head.JSONWebKey != nil {
		return "", errOwn
	}
	return k.verified(jws, head)
}

// parse returns the JWT, and its header, which is not trusted yet. Its algorithm is one of the
// allowed ones.
func parse(jwt string, allowed []Algorithm) (*jose.JSONWebSignature, *jose.Header, error) {
	if len(jwt) > maxJWTBytes {
		return nil, nil, errLong
	}
	algorithms := make([]jose.SignatureAlgorithm, 0, len(allowed))
	for _, a := range allowed {
		if a == ES256 || a == RS256 {
			algorithms = append(algorithms, jose.SignatureAlgorithm(a))
		}
	}
	jws, err := jose.ParseSignedCompact(jwt, algorithms)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	head := &jws.Signatures[0].Protected
	if head.ExtraHeaders[jose.HeaderType] != jwtType {
		return nil, nil, errType
	}
	if _, ok := head.ExtraHeaders["crit"]; ok {
		return nil, nil, errCrit
	}
	return jws, head, nil
}

func (k Key) verified(jws *jose.JSONWebSignature, head *jose.Header) (challenge string, err error) {
	if head.Algorithm != string(k.algorithm) {
		return "", errKey
	}
	payload, err := jws.Verify(k.public)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrProof, err)
	}
	var claims struct {
		JTI string `json:"jti"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil || claims.JTI == "" {
		return "", errNoJTI
	}
	return claims.JTI, nil
}

func newKey(public any) (Key, error) {
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		if public.Curve == elliptic.P256() {
			return Key{public, ES256}, nil
		}
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits >= 2048 && bits <= 4096 {
			return Key{public, RS256}, nil
		}
	}
	return Key{}, errKey
}

// Bytes returns the encoding of the key (X.509 SubjectPublicKeyInfo), for ParseKey.
func (k Key) Bytes() ([]byte, error) { return x509.MarshalPKIXPublicKey(k.public) }

// ParseKey returns the key that Bytes has encoded.
func ParseKey(encoded []byte) (Key, error) {
	public, err := x509.ParsePKIXPublicKey(encoded)
	if err != nil {
		return Key{}, fmt.Errorf("dbsc: %w", err)
	}
	return newKey(public)
}
