package main

import "time"

// The functions of this file write values into the cells of a table.

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func since(t time.Time) string { return max(time.Since(t), 0).Round(time.Second).String() }

func ago(t time.Time) string { return since(t) + " ago" }

func in(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return "in " + max(time.Until(t), 0).Round(time.Second).String()
}
