// Package ranges fills in the defaults of options, and checks that their values are in range.
//
// A zero value means the default; [Off] switches a limit off, where that is allowed. An error names
// the option and the range. The bridge returns it, hence the prefix.
package ranges
