package store_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sessionbridge/sessionbridge/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)

// secretive is a record whose every private field holds a word that must never be seen in a log.
func secretive() store.Record {
	rec := store.Record{
		ID: "secret-id", ClientID: "secret-client", UserID: "secret-user", Addr: "secret-addr", UserAgent: "secret-agent",
		Data: []byte(`{"k":"secret-value"}`),
		Seen: noon, Expires: noon.Add(time.Hour), Revision: 7, Writes: 9, TokenGeneration: 3,
	}
	copy(rec.TokenHash[:], "secret-token-hash")
	copy(rec.PrevTokenHash[:], "secret-previous-hash")
	return rec
}

// requireSilent fails if text holds a secret: as words, hexadecimal digits or decimal bytes.
func requireSilent(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{
		"secret", fmt.Sprintf("%x", "secret"), fmt.Sprintf("%X", "secret"), "115 101 99", "115,101,99", "0x73, 0x65", "c2VjcmV0",
	} {
		require.NotContains(t, text, secret)
	}
}

func TestPrintedRecordsTellNothingPersonal(t *testing.T) {
	rec := secretive()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for name, v := range map[string]any{
			"record": rec, "pointer": &rec, "slice": []store.Record{rec}, "hash": rec.TokenHash, "hash pointer": &rec.TokenHash,
			"map": map[string]store.TokenHash{"k": rec.TokenHash}, "struct": struct{ R store.Record }{rec},
		} {
			t.Run(verb+" "+name, func(t *testing.T) { requireSilent(t, fmt.Sprintf(verb, v)) })
		}
	}
	require.Contains(t, fmt.Sprint(rec), "Revision:7")
	require.Equal(t, "[redacted]", fmt.Sprint(rec.TokenHash))
}

func TestLoggedRecordsTellNothingPersonal(t *testing.T) {
	rec := secretive()
	handlers := map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(out *bytes.Buffer) slog.Handler { return slog.NewTextHandler(out, nil) },
		"json": func(out *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(out, nil) },
	}
	for name, handler := range handlers {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			slog.New(handler(&out)).Info("stored", slog.Any("record", rec), slog.Any("pointer", &rec), slog.Any("hash", rec.TokenHash))
			requireSilent(t, out.String())
			require.Contains(t, out.String(), "[redacted]")
			require.Contains(t, out.String(), "revision")
		})
	}
}

func TestLoggedRecordSaysWhatItMay(t *testing.T) {
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("stored", slog.Any("record", secretive()))
	var line struct {
		Record map[string]any `json:"record"`
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &line))
	require.Equal(t, map[string]any{
		"revision": 7.0, "writes": 9.0, "bytes": 20.0, "tokenGeneration": 3.0,
		"seen": "2025-01-01T12:00:00Z", "expires": "2025-01-01T13:00:00Z",
	}, line.Record)
}

func TestCloneSharesNoMemory(t *testing.T) {
	rec := secretive()
	clone := rec.Clone()
	clone.Data[0] = '!'
	require.Equal(t, byte('{'), rec.Data[0])
	require.Nil(t, (store.Record{}).Clone().Data)
}

func TestExpired(t *testing.T) {
	rec := store.Record{Expires: noon}
	require.False(t, rec.Expired(noon.Add(-1)))
	require.True(t, rec.Expired(noon), "at its expiry it is expired")
	require.True(t, rec.Expired(noon.Add(1)))
	rec.Expires = time.Time{}
	require.False(t, rec.Expired(noon), "zero: never")
}

func TestTokenHashIsZero(t *testing.T) {
	require.True(t, store.TokenHash{}.IsZero())
	require.False(t, store.TokenHash{31: 1}.IsZero())
}
