package checkpoint

import (
	"fmt"
	"strconv"

	"github.com/implicitreward/implicitreward/internal/regular"
)

// maxJSON bounds config.json, an index and a safetensors header, in bytes; the safetensors
// library bounds headers likewise.
const maxJSON = 100_000_000

// readSmall reads a regular file of at most maxJSON bytes.
func readSmall(path string) ([]byte, error) {
	data, err := regular.Read(path, maxJSON)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return data, nil
}

// quote quotes a name from a file for an error, truncated to a readable length.
func quote(name string) string {
	if len(name) > 200 {
		name = name[:200] + "…"
	}
	return strconv.Quote(name)
}
