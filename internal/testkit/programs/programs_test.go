package programs_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testkit/programs"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testmain"
)

func TestMain(m *testing.M) { testmain.Run(m) }

func TestTheFirstProgramThatIsInstalled(t *testing.T) {
	require.Equal(t, programs.Find(t, "go"), programs.Find(t, "no-such-program", "go", "gofmt"))
}
