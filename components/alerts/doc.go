// Package alerts makes the Prometheus rules and the Grafana dashboard of a service's tier. The table in this package is
// the source of both, and of docs/reference/alerts.md.
package alerts
