package redistest

// ErrFrame is what cannot be followed.
var ErrFrame = errFrame

// PassFrames returns what the proxy passes on of these pieces, which may be cut anywhere, and how many pushes it leaves out.
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
