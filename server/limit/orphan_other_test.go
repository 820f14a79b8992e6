//go:build !linux

package limit

import "syscall"

var dieWithTest *syscall.SysProcAttr
