// Package dashboard is the page on which operators see and end sessions. It is static: its script
// uses the API of package admin, with a key that is typed in and stays in the page's memory.
//
// The page loads nothing from elsewhere and has no inline script or style, which its Content Security
// Policy enforces. page/vendor has uPlot, the library of the charts, with its licence.
package dashboard
