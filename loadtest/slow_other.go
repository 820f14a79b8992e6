//go:build !unix

package loadtest

import "syscall"

// receiveLittle leaves the socket as it is: what a slow reader does not take, the kernel holds up to its own bound.
func receiveLittle(string, string, syscall.RawConn) error { return nil }
