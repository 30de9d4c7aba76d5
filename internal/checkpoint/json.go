package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxJSON bounds config.json, an index and a safetensors header; the
// safetensors library has the same bound for headers.
const maxJSON = 100_000_000

// decodeObject returns the values of a JSON object by key. It refuses what
// encoding/json lets pass: invalid UTF-8, a key that comes twice at any depth,
// and null in place of an object.
func decodeObject(data []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8, wanted JSON")
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	if object == nil {
		return nil, errors.New("null, wanted a JSON object")
	}
	if key, twice := duplicateKey(data); twice {
		return nil, fmt.Errorf("key %s comes twice, wanted once", quote(key))
	}
	return object, nil
}

// duplicateKey finds a key that one object of a JSON document has twice. The
// document must be valid.
func duplicateKey(data []byte) (key string, found bool) {
	var stack []map[string]struct{} // the keys of each open object, nil for an array
	isKey := false                  // the next string is a key
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{':
			stack = append(stack, make(map[string]struct{}))
			isKey = true
		case '[':
			stack = append(stack, nil)
			isKey = false
		case '}', ']':
			stack = stack[:len(stack)-1]
			isKey = false
		case ',':
			isKey = stack[len(stack)-1] != nil
		case '"':
			start := i
			for i++; data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
			if !isKey {
				continue
			}
			isKey = false
			key := string(data[start+1 : i])
			if strings.Contains(key, `\`) {
				json.Unmarshal(data[start:i+1], &key) // valid, as the document is
			}
			keys := stack[len(stack)-1]
			if _, ok := keys[key]; ok {
				return key, true
			}
			keys[key] = struct{}{}
		}
	}
	return "", false
}

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
