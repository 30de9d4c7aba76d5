package engine

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"
)

// usable is the share of the available memory that weights and buffers may take.
func usable() int64 { return available() / 8 * 7 }

// available is how much memory this process may still take: what the machine has free
// or can free, or what its control group leaves it if that is less. 0 if unknown, as it
// is on systems without /proc.
func available() int64 {
	free := field("/proc/meminfo", "MemAvailable:") * 1024
	// Version 2 of control groups, then version 1. The page cache counts against the
	// limit, but gives way.
	for _, g := range []struct{ limit, used, stat, cache string }{
		{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat", "inactive_file"},
		{"/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes", "/sys/fs/cgroup/memory/memory.stat", "total_inactive_file"},
	} {
		limit := number(g.limit)
		if limit <= 0 { // no such file, or "max"
			continue
		}
		left := max(limit-number(g.used)+field(g.stat, g.cache), 1)
		if free == 0 || left < free {
			free = left
		}
	}
	return free
}

// number reads a file that holds one number, 0 if it does not.
func number(path string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// field reads the number after a name that begins a line, 0 if there is none.
func field(path, name string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) > 1 && f[0] == name {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n
		}
	}
	return 0
}
