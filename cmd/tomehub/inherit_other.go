//go:build !unix

package main

import "github.com/tomehub/tomehub/internal/supervisor"

// inherit finds nothing: this system passes no sockets.
func inherit() (keeper, error) { return keeper{restarts: supervisor.ParseRestarts("")}, nil }
