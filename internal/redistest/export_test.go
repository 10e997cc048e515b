package redistest

// ErrFrame is the error for an invalid stream.
var ErrFrame = errFrame

// PassFrames returns what the proxy forwards of these pieces, which may be split anywhere, and the
// number of pushes that it drops.
func PassFrames(drop bool, pieces ...string) (passed []string, dropped int, err error) {
	f := frames{drops: func() bool {
		if drop {
			dropped++
		}
		return drop
	}}
	for _, piece := range pieces {
		out, err := f.pass([]byte(piece))
		if err != nil {
			return passed, dropped, err
		}
		passed = append(passed, string(out))
	}
	return passed, dropped, nil
}
