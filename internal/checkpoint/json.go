package checkpoint

import (
	"fmt"
	"io"
	"os"
	"strconv"
)

// maxJSON bounds config.json, an index and a safetensors header; the
// safetensors library has the same bound for headers.
const maxJSON = 100_000_000

// readSmall reads a regular file of at most maxJSON bytes.
func readSmall(path string) ([]byte, error) {
	f, size, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > maxJSON {
		return nil, fmt.Errorf("checkpoint: %s: %d bytes, wanted at most %d", path, size, maxJSON)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxJSON))
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return data, nil
}

// openRegular opens a file for reading after a look that it is a regular one
// (opening a pipe would wait for its writer). Errors name the path.
func openRegular(path string) (*os.File, int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, fmt.Errorf("checkpoint: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("checkpoint: %s: mode %v, wanted a regular file", path, info.Mode())
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("checkpoint: %w", err)
	}
	if info, err = f.Stat(); err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("checkpoint: %w", err)
	}
	return f, info.Size(), nil
}

// quote quotes a name of the file for an error, cut to a readable length.
func quote(name string) string {
	if len(name) > 200 {
		name = name[:200] + "…"
	}
	return strconv.Quote(name)
}
