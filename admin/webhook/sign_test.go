package webhook

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSignatureOfStandardWebhooks: the test vector of the specification's reference libraries.
func TestSignatureOfStandardWebhooks(t *testing.T) {
	key, err := parseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	require.NoError(t, err)
	got := sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	require.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", got)
}

func TestSecrets(t *testing.T) {
	key, err := parseSecret(NewSecret())
	require.NoError(t, err)
	require.Len(t, key, 32)
	require.NotEqual(t, NewSecret(), NewSecret())
	of := func(n int) string { return base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", n))) }
	for secret, want := range map[string]string{
		of(32):             "doesn't begin with whsec_",
		"":                 "doesn't begin with whsec_",
		"whsec_":           "doesn't have 24 to 64 bytes",
		"whsec_" + of(23):  "doesn't have 24 to 64 bytes",
		"whsec_" + of(65):  "doesn't have 24 to 64 bytes",
		"whsec_not base64": "is not in base64",
	} {
		_, err := parseSecret(secret)
		require.EqualError(t, err, want)
	}
	for _, n := range []int{24, 64} {
		_, err := parseSecret("whsec_" + of(n))
		require.NoError(t, err)
	}
}
