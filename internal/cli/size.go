package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// units of sizes: binary ones, and the decimal ones that disks are sold in. The longer
// ending comes first.
var units = []struct {
	name  string
	bytes float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
}

// ParseSize reads a number of bytes, above 0: "2GiB", "512 MiB", "1.5GB", "1000000".
// KiB, MiB, GiB and TiB are powers of 1,024, kB, MB, GB and TB of 1,000.
func ParseSize(s string) (int64, error) {
	for _, u := range units {
		number, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		number = strings.TrimRight(number, " ")
		x, err := strconv.ParseFloat(number, 64)
		if err != nil || strings.Trim(number, "0123456789.") != "" { // no exponents, no Inf
			break
		}
		if x *= u.bytes; x < 1 || x >= math.MaxInt64 {
			return 0, fmt.Errorf("size %q, wanted at least 1 byte and less than 8 EiB", s)
		}
		return int64(x), nil
	}
	return 0, fmt.Errorf("size %q, wanted one such as 2GiB, 512MiB, 1.5GB or a number of bytes", s)
}

// formatSize writes a number of bytes for people: "3.1 MB".
func formatSize(n int64) string {
	x := float64(n)
	for _, unit := range []string{"B", "kB", "MB", "GB"} {
		if x < 999.5 || unit == "B" && n < 1000 {
			if unit == "B" || x >= 99.95 {
				return fmt.Sprintf("%.0f %s", x, unit)
			}
			return fmt.Sprintf("%.1f %s", x, unit)
		}
		x /= 1000
	}
	return fmt.Sprintf("%.1f TB", x)
}
