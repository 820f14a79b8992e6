//go:build unix && !linux

package loadtest

import (
	"os/exec"
	"syscall"
)

// tie gives the child a process group of its own, because an interrupt typed at a terminal goes to the whole group, and
// the server is to stop after the load test, not with it. Only Linux can tie the child to its parent's life: Stop ends
// it, but a load test that is killed leaves it behind.
func tie(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
