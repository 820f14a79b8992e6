package main

import (
	"bufio"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// forgetStart takes the pages of the program's own file out of the process. To start touches 25 MiB of them, a run a third
// of that, and those come back when they are needed, from the page cache.
func forgetStart() {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer f.Close()
	for _, m := range unwritten(f, exe) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED) // without it the pages stay
	}
}

// A mapping is a range of addresses.
type mapping struct{ from, to uintptr }

// unwritten reads, in the format of proc_pid_smaps(5), the mappings of a file that cannot be written and that nothing was
// written to before, by a debugger or the loader: these the kernel can read again.
func unwritten(smaps io.Reader, file string) (found []mapping) {
	var at mapping
	ours := false
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 5 && !strings.HasSuffix(fields[0], ":") {
			at, ours = mapping{}, false
			from, to, ok := strings.Cut(fields[0], "-")
			if !ok || fields[1][0] != 'r' || fields[1][1] != '-' || !strings.HasSuffix(lines.Text(), " "+file) {
				continue
			}
			low, errLow := strconv.ParseUint(from, 16, strconv.IntSize)
			high, errHigh := strconv.ParseUint(to, 16, strconv.IntSize)
			at, ours = mapping{uintptr(low), uintptr(high)}, errLow == nil && errHigh == nil && low < high
		}
		if ours && len(fields) == 3 && fields[0] == "Anonymous:" && fields[1] == "0" {
			found = append(found, at)
		}
	}
	return found
}
