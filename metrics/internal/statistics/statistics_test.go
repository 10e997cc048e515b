package statistics_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testmain"
	"github.com/sessionbridge/sessionbridge/metrics/internal/statistics"
)

func TestMain(m *testing.M) { testmain.Run(m) }

// TestEachFieldOfStatsIsAStatistic: a field that is added to bridge.Stats must be added here. Each
// statistic has the value of its own field, and what counts up is a counter.
func TestEachFieldOfStatsIsAStatistic(t *testing.T) {
	all, fields := statistics.All(), reflect.TypeFor[bridge.Stats]()
	require.Len(t, all, fields.NumField())
	for i, s := range all {
		require.Equal(t, fields.Field(i).Name, s.Field)
		require.NotEmpty(t, s.Help, s.Field)

		var stats bridge.Stats
		require.Zero(t, s.Value(&stats), s.Field)
		want := 7.0
		switch field := reflect.ValueOf(&stats).Elem().Field(i); field.Kind() {
		case reflect.Bool:
			want = 1
			field.SetBool(true)
			require.False(t, s.Counter, s.Field)
		case reflect.Int:
			field.SetInt(7)
			require.False(t, s.Counter, s.Field)
		default:
			field.SetUint(7)
			require.True(t, s.Counter, s.Field)
		}
		require.Equal(t, want, s.Value(&stats), s.Field)
	}
}

func TestNamesAreInSnakeCase(t *testing.T) {
	require.Equal(t, "too_many_conns", statistics.Statistic{Field: "TooManyConns"}.Name())
	require.Equal(t, "conns", statistics.Statistic{Field: "Conns"}.Name())
}
