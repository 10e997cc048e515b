package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// signature returns the signature that a receiver expects.
func signature(t *testing.T, secret string, d delivery) string {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	require.NoError(t, err)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(d.id + "." + d.header.Get("Webhook-Timestamp") + "." + string(d.body)))
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
