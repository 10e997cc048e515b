package main

import "strings"

// named are parts of user agents and their names. The first match counts, because nearly every
// browser claims to be others as well.
type named []struct{ part, name string }

func (list named) in(userAgent string) string {
	for _, n := range list {
		if strings.Contains(userAgent, n.part) {
			return n.name
		}
	}
	return ""
}

// inWords returns a name for a user agent by which a user can recognise a device. Clients choose
// their user agent: it is no proof.
func inWords(userAgent string) string {
	browser := named{
		{"Edg", "Edge"},
		{"OPR/", "Opera"},
		{"SamsungBrowser/", "Samsung Internet"},
		{"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"},
		{"Chrome/", "Chrome"},
		{"CriOS/", "Chrome"},
		{"Safari/", "Safari"},
		{"curl/", "curl"},
		{"Go-http-client/", "A Go program"},
	}.in(userAgent)
	system := named{
		{"Android", "Android"},
		{"iPhone", "iPhone"},
		{"iPad", "iPad"},
		{"Windows", "Windows"},
		{"Mac OS X", "macOS"},
		{"CrOS", "ChromeOS"},
		{"Linux", "Linux"},
	}.in(userAgent)
	switch {
	case browser == "" && system == "":
		return "An unknown device"
	case browser == "":
		return "An unknown browser on " + system
	case system == "":
		return browser
	}
	return browser + " on " + system
}
