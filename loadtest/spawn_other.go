//go:build !linux

package loadtest

import "os/exec"

// dieWithParent does nothing: only Linux can tie a child to its parent. Stop ends it; a killed parent leaves it behind.
func dieWithParent(*exec.Cmd) {}
