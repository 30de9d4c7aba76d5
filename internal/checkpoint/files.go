package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/strictjson"
)

const (
	singleFile = "model.safetensors"
	indexFile  = "model.safetensors.index.json"

	adapterConfig = "adapter_config.json"
	adapterFile   = "adapter_model.safetensors"
)

// weightFiles returns the names of the files in dir with the weights, sorted, and for shards
// the index: the file of each tensor. The files need not exist.
func weightFiles(dir string) (files []string, index map[string]string, err error) {
	if _, err := os.Lstat(filepath.Join(dir, singleFile)); err == nil {
		return []string{singleFile}, nil, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("checkpoint: %w", err)
	}
	path := filepath.Join(dir, indexFile)
	data, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, notCheckpoint(dir, missingWeights)
	}
	if err != nil {
		return nil, nil, err
	}
	index, err = parseIndex(data)
	if err != nil {
		return nil, nil, fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	files = slices.Compact(slices.Sorted(maps.Values(index)))
	return files, index, nil
}

// parseIndex parses an index: {"metadata": ..., "weight_map": {tensor: file}}. The metadata,
// a total size that often is wrong, is ignored.
func parseIndex(data []byte) (map[string]string, error) {
	object, err := strictjson.Object(data, "")
	if err != nil {
		return nil, err
	}
	var index map[string]*string
	if err := json.Unmarshal(orNull(object["weight_map"]), &index); err != nil {
		return nil, fmt.Errorf("weight_map: %w", err)
	}
	if len(index) == 0 {
		return nil, errors.New("no weight_map, or an empty one, wanted the file of each tensor")
	}
	files := make(map[string]string, len(index))
	for _, name := range sortedKeys(index) {
		if index[name] == nil || !plainName(*index[name]) || !strings.HasSuffix(*index[name], ".safetensors") {
			got := "null"
			if index[name] != nil {
				got = quote(*index[name])
			}
			return nil, fmt.Errorf("tensor %s: file %s, wanted a .safetensors file of the same folder", quote(name), got)
		}
		files[name] = *index[name]
	}
	return files, nil
}

// plainName reports whether a file name is that of a file in a folder, on any system, and
// nothing outside it.
func plainName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= 255 &&
		!strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune(`/\:*?"<>|`, r) })
}

// errorName lists file names for an error, at most three.
func errorName(names []string) string {
	if len(names) > 3 {
		names = append(slices.Clone(names[:3]), "...")
	}
	return strings.Join(names, ", ")
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
