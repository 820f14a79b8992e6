//go:build unix && !linux

package supervisor

import "syscall"

// tie gives the worker a process group of its own, which keeps an interrupt typed at a terminal from
// it: the supervisor asks it. That the supervisor died the worker learns by its control line.
func tie() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
