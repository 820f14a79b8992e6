// Package scenarios holds the load tests that come with tomehub.
package scenarios

import "embed"

// FS has the scenario files at its top and the query logs that they feed on under queries/.
//
//go:embed *.yaml queries/*
var FS embed.FS
