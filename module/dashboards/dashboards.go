// Package dashboards holds the Grafana dashboard and the Prometheus alert rules of the gateway. The dashboard's JSON is made
// from the tables in this package by `go test ./module/dashboards -update`; the alert rules are written as they are.
package dashboards

import _ "embed"

// Dashboard is the dashboard as Grafana imports it.
//
//go:embed minimize.json
var Dashboard []byte

// Alerts are the alert rules as Prometheus loads them.
//
//go:embed alerts.yaml
var Alerts []byte
