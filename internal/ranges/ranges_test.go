package ranges_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/ranges"
)

func TestAZeroIsTheDefaultAndAValueInRangeStays(t *testing.T) {
	for _, c := range []struct{ given, want time.Duration }{
		{0, time.Hour}, {ranges.Off, ranges.Off}, {time.Second, time.Second}, {ranges.Most, ranges.Most},
	} {
		d := c.given
		require.NoError(t, ranges.Fill("Options", ranges.OrOff("Timeout", &d, time.Hour, time.Second)))
		require.Equal(t, c.want, d)
	}
}

func TestAnErrorNamesTheFirstOptionOutOfRange(t *testing.T) {
	for _, bad := range []time.Duration{ranges.Off, -2, time.Second - 1, ranges.Most + 1, math.MinInt64, math.MaxInt64} {
		good, d := time.Minute, bad
		err := ranges.Fill("Options", ranges.On("Interval", &good, 0, 1), ranges.On("Timeout", &d, time.Hour, time.Second),
			ranges.On("Next", &d, 0, time.Second))
		require.ErrorContains(t, err, "bridge: Options.Timeout: "+bad.String()+" is out of range: 1s to 876000h0m0s")
		require.NotContains(t, err.Error(), "Off")
	}
	require.ErrorContains(t, ranges.Check("Lease", -2, 1, true), ", or Off")
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct{ given, want int }{{0, 5}, {ranges.Off, ranges.Off}, {1, 1}, {math.MaxInt, math.MaxInt}} {
		n := c.given
		require.NoError(t, ranges.FillLimit("Options.Conns", &n, 5))
		require.Equal(t, c.want, n)
	}
	n := -2
	require.ErrorContains(t, ranges.FillLimit("Options.Conns", &n, 5), "Options.Conns: -2")
}

func TestAmounts(t *testing.T) {
	for _, c := range []struct{ given, want int }{{0, 5}, {1, 1}, {math.MaxInt, math.MaxInt}} {
		n := c.given
		require.NoError(t, ranges.FillAmount("Options.Bytes", &n, 5))
		require.Equal(t, c.want, n)
	}
	n := ranges.Off
	require.ErrorContains(t, ranges.FillAmount("Options.Bytes", &n, 5), "Options.Bytes: -1 is out of range")
}

func TestRates(t *testing.T) {
	for _, good := range []float64{0, ranges.Off, 0.5, 1e9} {
		require.NoError(t, ranges.Rate("Rate", good))
	}
	for _, bad := range []float64{-0.5, -2, 1e9 + 1, math.NaN(), math.Inf(1), math.Inf(-1)} {
		require.ErrorContains(t, ranges.Rate("Options.Rate", bad), "bridge: Options.Rate: ")
	}
}

type policy int8

func TestEnums(t *testing.T) {
	for _, good := range []policy{1, 2, 3} {
		require.NoError(t, ranges.Enum("Options.Policy", good, 1, 3))
	}
	for _, bad := range []policy{0, 4, -1} {
		require.ErrorContains(t, ranges.Enum("Options.Policy", bad, 1, 3), "bridge: Options.Policy: ")
		require.ErrorContains(t, ranges.Enum("Options.Policy", bad, 1, 3), "is no policy")
	}
}
