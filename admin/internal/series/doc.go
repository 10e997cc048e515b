// Package series measures a Bridge at intervals and remembers the last hour, for charts.
package series
