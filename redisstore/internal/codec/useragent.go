package codec

import "strings"

// User agents of browsers are long and consist of a few common fragments. With one byte for each
// fragment they take a fifth of the memory, and the session fits in the next smaller allocation of
// Redis.

// fragments are the common fragments of user agents, longer ones before their own prefixes. Stored
// values refer to a fragment by its index: append only, 128 at most.
var fragments = [...]string{
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/",
	"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/",
	"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/",
	"Mozilla/5.0 (iPhone; CPU iPhone OS ",
	"Mozilla/5.0 (iPad; CPU OS ",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:",
	"Mozilla/5.0 (X11; Linux x86_64; rv:",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:",
	"Mozilla/5.0 (Linux; Android ",
	"Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:",
	"Mozilla/5.0 (compatible; ",
	"Mozilla/5.0 (",
	" like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/",
	"605.1.15 (KHTML, like Gecko) Version/",
	"537.36 (KHTML, like Gecko) Chrome/",
	") AppleWebKit/537.36 (KHTML, like Gecko) Chrome/",
	") AppleWebKit/",
	" (KHTML, like Gecko) ",
	".0.0.0 Mobile Safari/537.36",
	".0.0.0 Safari/537.36 Edg/",
	".0.0.0 Safari/537.36 OPR/",
	".0.0.0 Safari/537.36",
	".0) Gecko/20100101 Firefox/",
	" Gecko/20100101 Firefox/",
	" Mobile/15E148 Safari/604.1",
	" Mobile/15E148",
	" Safari/605.1.15",
	" Safari/537.36",
	" Chrome/",
	" Version/",
	" Mobile ",
	".0.0.0",
}

// firstFragment is the byte that represents fragments[0]. Text with bytes from there on is not
// abbreviated.
const firstFragment = 0x80

// abbreviate replaces fragments by their bytes. It returns false if the user agent has bytes that
// would be mistaken for fragments.
func abbreviate(agent string) (string, bool) {
	for i := range len(agent) {
		if agent[i] >= firstFragment {
			return "", false
		}
	}
	var short strings.Builder
next:
	for len(agent) > 0 {
		for n, fragment := range fragments {
			if strings.HasPrefix(agent, fragment) {
				short.WriteByte(firstFragment + byte(n))
				agent = agent[len(fragment):]
				continue next
			}
		}
		short.WriteByte(agent[0])
		agent = agent[1:]
	}
	return short.String(), true
}

// expand reverses abbreviate.
func expand(short string) string {
	size := len(short)
	for i := range len(short) {
		if n := int(short[i]) - firstFragment; n >= 0 && n < len(fragments) {
			size += len(fragments[n]) - 1
		}
	}
	var agent strings.Builder
	agent.Grow(size)
	for i := range len(short) {
		if n := int(short[i]) - firstFragment; n >= 0 && n < len(fragments) {
			agent.WriteString(fragments[n])
		} else {
			agent.WriteByte(short[i])
		}
	}
	return agent.String()
}
