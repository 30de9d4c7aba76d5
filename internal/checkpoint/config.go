package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"

	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// ReadConfig returns the top-level members of dir/config.json, with values as JSON text. A
// repeated key at any depth, text after the object, invalid UTF-8, and NaN and Infinity,
// which JSON lacks, are errors, but for the one that Infinite takes. A multimodal config's text_config is one of the values.
func ReadConfig(dir string) (map[string]json.RawMessage, error) {
	path := filepath.Join(dir, "config.json")
	data, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notCheckpoint(dir, missingConfig)
	}
	if err != nil {
		return nil, err
	}
	config, err := strictjson.Object(Infinite(data), "")
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	return config, nil
}

// unlimited is a list of a lower limit and of none above.
var unlimited = regexp.MustCompile(`("time_step_limit"\s*:\s*\[[^\[\]{}",]*,\s*)Infinity(\s*\])`)

// Infinite is the text of a config.json in which Infinity, as the published models with Mamba 2 have
// it as the second number of time_step_limit, is the object that transformers 5 writes in its place.
func Infinite(data []byte) []byte {
	return unlimited.ReplaceAll(data, []byte(`$1{"__float__": "Infinity"}$2`))
}
