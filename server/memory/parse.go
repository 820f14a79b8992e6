package memory

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// unlimited is beyond any memory: version 1 writes "no limit" as the largest page count.
const unlimited = int64(1) << 60

// A member is one line of /proc/self/cgroup: the path of this process in one hierarchy.
type member struct {
	v2   bool
	path string // clean, starts with "/"
}

// parseMembers finds the hierarchies that may bound memory.
func parseMembers(data []byte) ([]member, error) {
	var members []member
	for line := range bytes.Lines(data) {
		id, rest, ok := strings.Cut(strings.TrimSuffix(string(line), "\n"), ":")
		controllers, at, ok2 := strings.Cut(rest, ":")
		if !ok || !ok2 || !strings.HasPrefix(at, "/") {
			return nil, fmt.Errorf("line %q is not id:controllers:path", bound(line))
		}
		switch {
		case id == "0" && controllers == "":
			members = append(members, member{v2: true, path: path.Clean(at)})
		case hasWord(controllers, "memory"):
			members = append(members, member{path: path.Clean(at)})
		}
	}
	return members, nil
}

// A mount is one place where a cgroup hierarchy with memory, or version 2, can be read.
type mount struct {
	v2          bool
	root, point string // the part of the hierarchy that is mounted, and where; both clean
}

// parseMounts finds such places in /proc/self/mountinfo.
func parseMounts(data []byte) ([]mount, error) {
	var mounts []mount
	for line := range bytes.Lines(data) {
		left, right, ok := strings.Cut(strings.TrimSuffix(string(line), "\n"), " - ")
		fields, kind := strings.Fields(left), strings.Fields(right)
		if !ok || len(fields) < 6 || len(kind) < 1 {
			return nil, fmt.Errorf("line %q is not of a mount", bound(line))
		}
		m := mount{v2: kind[0] == "cgroup2", root: path.Clean("/" + unescape(fields[3])), point: path.Clean("/" + unescape(fields[4]))}
		if m.v2 || kind[0] == "cgroup" && hasWord(kind[len(kind)-1], "memory") {
			mounts = append(mounts, m)
		}
	}
	return mounts, nil
}

// unescape undoes the \040 of blanks, tabs, line ends and backslashes in mountinfo.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// parseLimit reads memory.max or memory.limit_in_bytes; no limit is unlimited.
func parseLimit(data []byte) (int64, error) {
	text := string(bytes.TrimSpace(data))
	if text == "max" || text == "-1" {
		return unlimited, nil
	}
	n, err := parseSize(text)
	return min(n, unlimited), err
}

// parseSize reads a number of bytes; one beyond int64 is the largest.
func parseSize(text string) (int64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%q is not a number of bytes", bound([]byte(text)))
	}
	return int64(n), nil
}

// parseStat reads the named fields of memory.stat, which has one name and number per line.
// A field that is not there is not in the answer.
func parseStat(data []byte, names ...string) (map[string]int64, error) {
	found := make(map[string]int64, len(names))
	for line := range bytes.Lines(data) {
		name, number, ok := strings.Cut(strings.TrimSpace(string(line)), " ")
		if !ok {
			return nil, fmt.Errorf("line %q is not a name and a number", bound(line))
		}
		for _, want := range names {
			if name == want {
				n, err := parseSize(number)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
				found[name] = n
			}
		}
	}
	return found, nil
}

// hasWord looks for a word in a list with commas.
func hasWord(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if w == word {
			return true
		}
	}
	return false
}

// bound keeps a message short, whatever a file holds.
func bound(b []byte) []byte {
	const most = 80
	return b[:min(len(b), most)]
}
