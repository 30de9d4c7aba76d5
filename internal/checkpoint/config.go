package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// ReadConfig returns the top-level members of dir/config.json, with values as JSON text. A
// repeated key at any depth, text after the object, invalid UTF-8, and NaN and Infinity,
// which JSON lacks, are errors. A multimodal config's text_config is one of the values.
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
