package table_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/implicitreward/implicitreward/internal/table"
)

func TestOpenParquet(t *testing.T) {
	write := func(codec parquet.WriterOption) string {
		var b bytes.Buffer
		if err := parquet.Write(&b, []struct{ X int64 }{{1}, {2}}, codec); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	good := write(parquet.Compression(&parquet.Snappy))
	file, err := table.OpenParquet(strings.NewReader(good), int64(len(good)))
	if err != nil || file.NumRows() != 2 {
		t.Fatalf("%v", err)
	}
	for _, c := range []struct{ data, want string }{
		{"", "0 bytes"},
		{"PAR1PAR1PAR", "11 bytes"},
		{good[:len(good)-1], "wanted PAR1"},
		{good[:len(good)-8] + "\xff\xff\xff\x7fPAR1", "2147483647 bytes of metadata"},
		{good[:len(good)-8] + "\xff\xff\xff\xffPAR1", "4294967295 bytes of metadata"},
		{write(parquet.Compression(&parquet.Lz4Raw)), "compressed with LZ4"},
	} {
		if _, err := table.OpenParquet(strings.NewReader(c.data), int64(len(c.data))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, wanted %q", c.data, err, c.want)
		}
	}
}
