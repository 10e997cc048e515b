package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"
)

const (
	secretPrefix = "whsec_"
	minSecret    = 24 // bytes, by Standard Webhooks
	maxSecret    = 64
)

// NewSecret returns a new random Secret of 32 bytes.
func NewSecret() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it doesn't fail
	return secretPrefix + base64.StdEncoding.EncodeToString(key)
}

// parseSecret returns the key. Its error doesn't contain the secret.
func parseSecret(secret string) ([]byte, error) {
	text, ok := strings.CutPrefix(secret, secretPrefix)
	key, err := base64.StdEncoding.DecodeString(text)
	switch {
	case !ok:
		return nil, errors.New("doesn't begin with " + secretPrefix)
	case err != nil:
		return nil, errors.New("is not in base64")
	case len(key) < minSecret || len(key) > maxSecret:
		return nil, errors.New("doesn't have 24 to 64 bytes")
	}
	return key, nil
}

// sign returns the value of Webhook-Signature.
func sign(key []byte, id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
