package devicebound_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/devicebound"
)

func TestCheckNamesTheInvalidOption(t *testing.T) {
	invalid := func(field, format string, args ...any) error { return fmt.Errorf(field+": "+format, args...) }
	for _, c := range []struct {
		path string
		life time.Duration
		text string
	}{
		{"/app/device", 10 * time.Minute, ""},
		{"/app/device", devicebound.MinLife, ""},
		{"/app/device", devicebound.MaxLife, ""},
		{"/other/device", 10 * time.Minute, "DeviceBound.Path: "},
		{"/app/../device", 10 * time.Minute, "DeviceBound.Path: "},
		{"/app/device;x", 10 * time.Minute, "DeviceBound.Path: "},
		{"/app/device", devicebound.MinLife - 1, "DeviceBound.Life: "},
		{"/app/device", devicebound.MaxLife + 1, "DeviceBound.Life: "},
	} {
		err := devicebound.Check(invalid, c.path, "/app", c.life)
		if c.text == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, c.text)
		}
	}
}
