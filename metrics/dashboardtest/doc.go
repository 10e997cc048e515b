// Package dashboardtest checks the dashboard of package metrics: with the parser of Prometheus that
// its queries are valid and ask for metrics and labels that exist, and with the schema of Grafana
// that it is a dashboard. It is a module of its own because of these two, which are large.
package dashboardtest
