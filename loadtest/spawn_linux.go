package loadtest

import (
	"os/exec"
	"syscall"
)

// tie makes the kernel kill the child when its parent dies, however the parent dies. The child gets a process group of
// its own, because an interrupt typed at a terminal goes to the whole group, and the server is to stop after the load
// test, not with it.
func tie(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
