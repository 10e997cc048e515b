package outbox_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/outbox"
)

func TestTextIsACopyOfUTF8(t *testing.T) {
	payload := []byte("grüße")
	m, err := outbox.Text("Notify", payload)
	require.NoError(t, err)
	payload[0] = 'x'
	require.Equal(t, outbox.Message{Data: []byte("grüße")}, *m)
	_, err = outbox.Text("Notify", []byte{0xff})
	require.ErrorContains(t, err, "bridge: Notify: the payload is not UTF-8")
}

func TestJSONNamesTheMethodThatGotAnInvalidValue(t *testing.T) {
	m, err := outbox.JSON("NotifyJSON", map[string]int{"n": 1})
	require.NoError(t, err)
	require.Equal(t, outbox.Message{Data: []byte(`{"n":1}`)}, *m)
	_, err = outbox.JSON("NotifyJSON", func() {})
	require.ErrorContains(t, err, "bridge: NotifyJSON: ")
}
