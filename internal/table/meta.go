package table

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/implicitreward/implicitreward/internal/regular"
)

// maker is the program name in our Parquet files, and the metadata key of their provenance,
// as JSON.
const maker = "implicitreward"

// MetaPath is the file beside a CSV file with its provenance, a JSON object.
func MetaPath(path string) string { return path + ".meta.json" }

// ReadMeta decodes the file beside path into meta, which is unchanged if there is none.
func ReadMeta(path string, meta any) error {
	data, err := regular.Read(MetaPath(path), regular.Text)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, meta); err != nil {
		return fmt.Errorf("%s: %w", MetaPath(path), err)
	}
	return nil
}

// ParquetMeta decodes a Parquet file's provenance into meta, which is unchanged if there is
// none.
func ParquetMeta(file *parquet.File, meta any) error {
	text, ok := file.Lookup(maker)
	if !ok {
		return nil
	}
	if err := json.Unmarshal([]byte(text), meta); err != nil {
		return fmt.Errorf("metadata %s: %w", maker, err)
	}
	return nil
}

// CreatedBy is the option that names this library as a Parquet file's writer.
func CreatedBy(version string) parquet.WriterOption { return parquet.CreatedBy(maker, version, "") }

// WithMeta is the option that writes the provenance into a Parquet file.
func WithMeta(meta any) (parquet.WriterOption, error) {
	text, err := json.Marshal(meta)
	if err != nil {
		return nil, fmt.Errorf("meta: %w", err)
	}
	return parquet.KeyValueMetadata(maker, string(text)), nil
}

// IsOurs reports whether this library wrote the Parquet file.
func IsOurs(r io.ReaderAt, size int64) bool {
	file, err := OpenParquet(r, size)
	return err == nil && strings.HasPrefix(file.Metadata().CreatedBy, maker+" ")
}
