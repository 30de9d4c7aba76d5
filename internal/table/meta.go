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

// maker is the program that our Parquet files name, and the key of their metadata under
// which they say, as JSON, how they were made.
const maker = "implicitreward"

// MetaPath is the file beside a CSV file that says, as a JSON object, how that was made.
func MetaPath(path string) string { return path + ".meta.json" }

// ReadMeta reads the file beside path into meta, which stays as it is where there is none.
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

// ParquetMeta reads what a Parquet file says of how it was made into meta, which stays as it
// is where the file says nothing.
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

// CreatedBy is the option that writes into a Parquet file that this library made it.
func CreatedBy(version string) parquet.WriterOption { return parquet.CreatedBy(maker, version, "") }

// WithMeta is the option that writes into a Parquet file how it was made.
func WithMeta(meta any) (parquet.WriterOption, error) {
	text, err := json.Marshal(meta)
	if err != nil {
		return nil, fmt.Errorf("meta: %w", err)
	}
	return parquet.KeyValueMetadata(maker, string(text)), nil
}

// IsOurs tells whether this library wrote the Parquet file.
func IsOurs(r io.ReaderAt, size int64) bool {
	file, err := OpenParquet(r, size)
	return err == nil && strings.HasPrefix(file.Metadata().CreatedBy, maker+" ")
}
