//go:build !unix

package loadtest

import "os/exec"

// tie does nothing here: Stop ends the child, but a load test that is killed leaves it behind.
func tie(*exec.Cmd) {}
