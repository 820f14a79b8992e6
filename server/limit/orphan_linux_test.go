package limit

import "syscall"

// dieWithTest ends a server whose test was killed before it could clean up.
var dieWithTest = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
