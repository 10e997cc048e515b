package redact_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redact"
)

func TestIDIsLoggedAsAKeyedHash(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&out, nil))
	a, b := redact.Key{1}, redact.Key{2}
	logger.Info("x", slog.Any("session", a.ID("secret-id")))
	require.Contains(t, out.String(), "session="+a.Hash("secret-id"))
	require.NotContains(t, out.String(), "secret-id")
	require.Len(t, a.Hash("secret-id"), 16)
	require.Equal(t, a.Hash("secret-id"), a.ID("secret-id").LogValue().String())
	require.NotEqual(t, a.Hash("secret-id"), a.Hash("secret-ie"))
	require.NotEqual(t, a.Hash("secret-id"), b.Hash("secret-id"), "of another key")
	require.Equal(t, a.Hash("secret-id"), fmt.Sprint(slog.AnyValue(a.ID("secret-id"))), "by a Handler that doesn't resolve it")
	require.Equal(t, a.Hash("secret-id"), fmt.Sprintf("%+v", a.ID("secret-id")))
	require.Empty(t, a.Hash(""))
	require.Empty(t, a.ID("").LogValue().String())
}

func TestStructPrintsNoSecret(t *testing.T) {
	type options struct {
		Name   string
		Keys   [][]byte
		Idle   time.Duration
		Call   func()
		Logger *slog.Logger
		Zero   int
	}
	o := options{"sid", [][]byte{[]byte("secret"), nil}, time.Minute, func() {}, slog.Default(), 0}
	require.Equal(t, "pkg.Options{Name:sid Keys:[2 redacted] Idle:1m0s Call:set Logger:set}", redact.Struct("pkg.Options", o, "Keys"))
	require.Equal(t, "pkg.Options{}", redact.Struct("pkg.Options", options{}, "Keys"))
	require.NotContains(t, fmt.Sprint(redact.Struct("o", o, "Keys")), "secret")
}
