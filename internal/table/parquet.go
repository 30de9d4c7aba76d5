package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// OpenParquet opens a file of size bytes, without its page index and bloom filters. Refused are a
// file that is no Parquet or cut off, one whose last bytes promise more metadata than it
// has, for which parquet-go would make room, and columns compressed with LZ4, since
// parquet-go's decoder doubles its room for damaged data until there is none left.
//
// Reading a damaged file may still panic: callers recover.
func OpenParquet(r io.ReaderAt, size int64) (*parquet.File, error) {
	if size < 12 {
		return nil, fmt.Errorf("%d bytes, wanted a Parquet file", size)
	}
	var tail [8]byte
	if _, err := r.ReadAt(tail[:], size-8); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if string(tail[4:]) != "PAR1" {
		return nil, fmt.Errorf("the file ends in %q, wanted PAR1 (is it cut off, or no Parquet?)", tail[4:])
	}
	if n := binary.LittleEndian.Uint32(tail[:4]); int64(n) > size-12 {
		return nil, fmt.Errorf("%d bytes of metadata in a file of %d bytes", n, size)
	}
	file, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, err
	}
	for _, group := range file.Metadata().RowGroups {
		for _, column := range group.Columns {
			if codec := column.MetaData.Codec; codec == format.Lz4Raw {
				return nil, fmt.Errorf("column %v is compressed with %v, wanted Snappy, Zstandard, gzip, Brotli or none", column.MetaData.PathInSchema, codec)
			}
		}
	}
	return file, nil
}
