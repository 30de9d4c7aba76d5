package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// ReadConfig returns the top-level keys of dir/config.json with their values
// as they stand. A key that comes twice at any depth, text after the object
// and invalid UTF-8 are errors, and so are NaN and Infinity, which JSON lacks.
// A multimodal config's text_config is one of the values.
func ReadConfig(dir string) (map[string]json.RawMessage, error) {
	path := filepath.Join(dir, "config.json")
	data, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notCheckpoint(dir, missingConfig)
	}
	if err != nil {
		return nil, err
	}
	config, err := strictjson.Object(data, "")
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	return config, nil
}
