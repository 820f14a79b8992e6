// Package deploy holds what watches a tomehub: the dashboards and the alerts, as compose.yaml and the packages of distributions take them.
package deploy

import "embed"

// FS has the dashboards under grafana/dashboards/ and the alerts in prometheus/alerts.yml.
//
//go:embed grafana/dashboards/*.json prometheus/alerts.yml
var FS embed.FS
