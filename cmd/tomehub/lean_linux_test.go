package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Only what the kernel can read again from the file may be forgotten.
func TestUnwritten(t *testing.T) {
	const part = "Size:  8 kB\nRss:  8 kB\nAnonymous:  %A kB\nVmFlags: rd ex mr mw me\n"
	f := func(want []mapping, lines ...string) {
		t.Helper()
		text := strings.ReplaceAll(strings.Join(lines, ""), "%A", "0")
		if got := unwritten(strings.NewReader(text), "/opt/a b/tomehub"); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", lines, got, want)
		}
	}
	f([]mapping{{0x400000, 0x402000}}, "00400000-00402000 r-xp 00000000 fe:00 12   /opt/a b/tomehub\n", part)
	f([]mapping{{0x402000, 0x404000}}, "00402000-00404000 r--p 00002000 fe:00 12   /opt/a b/tomehub\n", part)
	f(nil, "00404000-00406000 rw-p 00004000 fe:00 12   /opt/a b/tomehub\n", part)
	f(nil, "00400000-00402000 r-xp 00000000 fe:00 12   /opt/a b/tomehub2\n", part)
	f(nil, "00400000-00402000 r-xp 00000000 fe:00 12   /usr/lib/libc.so\n", part)
	f(nil, "00400000-00402000 r--p 00000000 fe:00 12   /opt/a b/tomehub\n", strings.ReplaceAll(part, "%A", "4"))
	f(nil, "00402000-00400000 r--p 00000000 fe:00 12   /opt/a b/tomehub\n", part)
	f(nil, "x-y r--p 00000000 fe:00 12   /opt/a b/tomehub\n", part)
	f([]mapping{{0x400000, 0x402000}},
		"00400000-00402000 r-xp 00000000 fe:00 12   /opt/a b/tomehub\n", part,
		"00500000-00502000 rw-p 00000000 00:00 0\n", part,
		"00600000-00602000 r--p 00000000 fe:00 12   /opt/a b/tomehub\n", strings.ReplaceAll(part, "%A", "8"))
	f(nil, "")
}

// The program's own mappings are found, and it lives on without them.
func TestForgetStart(t *testing.T) {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	if len(unwritten(strings.NewReader(string(smaps)), exe)) == 0 {
		t.Errorf("no mapping of %s found in\n%s", exe, smaps)
	}
	forgetStart()
	if _, err := os.ReadFile("/proc/self/smaps"); err != nil {
		t.Error(err)
	}
}
