package redistest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
)

// kept and lost are complete frames of every type that servers send.
var (
	kept = []string{
		"+OK\r\n", "-ERR no\r\n", ":12\r\n", ":-1\r\n", "_\r\n", "#t\r\n", ",3.5\r\n", ",inf\r\n", "(123456789012345678901234567890\r\n",
		"$5\r\nhello\r\n", "$0\r\n\r\n", "$-1\r\n", "$9\r\n>2\r\n$7\r\nm\r\n", "!5\r\nERR x\r\n", "=7\r\ntxt:abc\r\n",
		"*0\r\n", "*-1\r\n", "~0\r\n", "%0\r\n",
		"*2\r\n:1\r\n$-1\r\n", "~2\r\n+a\r\n+b\r\n", "%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n*-1\r\n",
		"*3\r\n*2\r\n*0\r\n:1\r\n%1\r\n$1\r\nk\r\n~1\r\n_\r\n$7\r\nmessage\r\n",
		"|1\r\n+ttl\r\n:9\r\n$1\r\nv\r\n",                        // an attribute of a reply
		"|1\r\n+a\r\n*1\r\n:1\r\n|1\r\n+b\r\n:2\r\n*1\r\n:3\r\n", // two attributes
		"*2\r\n:1\r\n|1\r\n+a\r\n:2\r\n:3\r\n", "|0\r\n:4\r\n",
		"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n", // in RESP2, where it may be a reply
		">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n", ">3\r\n+ssubscribe\r\n+c\r\n:1\r\n", ">3\r\n$10\r\npsubscribe\r\n$1\r\nc\r\n:1\r\n",
		">3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n", ">3\r\n$12\r\nsunsubscribe\r\n$-1\r\n:0\r\n", ">3\r\n$12\r\npunsubscribe\r\n$-1\r\n:0\r\n",
		">2\r\n*1\r\n$7\r\nmessage\r\n:1\r\n", ">0\r\n", ">2\r\n$-1\r\n$7\r\nmessage\r\n",
	}
	lost = []string{
		">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n", ">3\r\n+smessage\r\n+c\r\n$2\r\n\r\n\r\n",
		">4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nc\r\n$0\r\n\r\n",
		">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n", ">2\r\n$10\r\ninvalidate\r\n_\r\n",
		"|1\r\n+a\r\n:1\r\n>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n", // with an attribute
	}
)

// TestFramesLosesMessagesOnly: for every order of frames, and for every split of the stream into
// pieces.
func TestFramesLosesMessagesOnly(t *testing.T) {
	var all, left strings.Builder
	messages := 0
	for _, before := range kept {
		for _, message := range lost {
			all.WriteString(before + message)
			left.WriteString(before)
			messages++
		}
	}
	stream := all.String()
	for size := range len(stream) {
		if size > 100 && size < len(stream)-1 && size%997 != 0 {
			continue
		}
		var pieces []string
		for rest := stream; rest != ""; {
			n := min(size+1, len(rest))
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		passed, dropped, err := redistest.PassFrames(true, pieces...)
		require.NoError(t, err, size+1)
		require.Equal(t, left.String(), strings.Join(passed, ""), size+1)
		require.Equal(t, messages, dropped, size+1)

		passed, dropped, err = redistest.PassFrames(false, pieces...)
		require.NoError(t, err, size+1)
		require.Equal(t, stream, strings.Join(passed, ""), size+1)
		require.Zero(t, dropped, size+1)
	}
}

// TestFramesKeepsNothingBack: a reply is forwarded as it arrives, a push as soon as its kind is
// known.
func TestFramesKeepsNothingBack(t *testing.T) {
	passed, _, err := redistest.PassFrames(true, "$", "3\r", "\nab", "c\r\n*2\r\n:1\r\n+o", "k\r\n", ">1\r\n$9\r\nsub", "scribe\r\n")
	require.NoError(t, err)
	require.Equal(t, []string{"", "", "$3\r\nab", "c\r\n*2\r\n:1\r\n+o", "k\r\n", "", ">1\r\n$9\r\nsubscribe\r\n"}, passed)
}

func TestFramesOfNobody(t *testing.T) {
	for _, stream := range []string{
		"\r\n", "\n", "+OK\n", "HTTP/1.1 400 Bad Request\r\n", "$x\r\n", "$\r\n", "*-2\r\n", "$-2\r\n", "%99999999999999999999\r\n",
		"$?\r\n", "*?\r\n", ";4\r\n", ".\r\n", // streamed
	} {
		_, _, err := redistest.PassFrames(true, ":1\r\n"+stream)
		require.ErrorIs(t, err, redistest.ErrFrame, "%q", stream)
	}
}
