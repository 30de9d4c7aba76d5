package preference

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/implicitreward/implicitreward/tokenize"
)

// Bounds on the memory that a file can cost.
const (
	maxRow     = 64 << 20 // bytes of a line, or of an array element
	maxParquet = 4 << 30  // bytes of a Parquet file
	maxRows    = 1 << 22  // of a Parquet file
)

// wanted is the form of a row, for errors.
const wanted = `{"prompt": ..., "chosen": ..., "rejected": ...}`

// Row is a preference: a conversation with chosen and rejected replies.
type Row struct {
	Number           int // of the line, or of the row of a table or array, from 1
	ID, Subset       string
	Messages         []tokenize.Message // the conversation, usually ending with a user message
	Chosen, Rejected []string           // usually one reply each
	Unread           []string           // names of members that are not read, such as "source"
	Err              error              // why the row cannot be used; it then has no messages
}

// Read yields the rows of a preference file: see the package documentation. A row that
// cannot be used has Err set, and reading continues. An error of the whole file (reading
// fails, or there is no row) is yielded last. The end of ctx ends the rows, even during a
// blocked read, such as of a terminal; that read is abandoned.
func Read(ctx context.Context, r io.Reader) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for o, err := range objects(ctx, r, true) {
			if err != nil {
				yield(Row{}, err)
				return
			}
			if !yield(o.Row(), nil) {
				return
			}
		}
	}
}

// others are the magic bytes and names of file types that are not preference files.
var others = []struct{ magic, name string }{
	{"\x28\xb5\x2f\xfd", "compressed by Zstandard, wanted it unpacked, or gzip"},
	{"BZh", "compressed by bzip2, wanted it unpacked, or gzip"},
	{"\xfd7zXZ", "compressed by xz, wanted it unpacked, or gzip"},
	{"PK\x03\x04", "a zip archive, wanted the file in it"},
	{"ARROW1", "an Arrow file, wanted JSON Lines or Parquet (in Python: Dataset.to_parquet)"},
	{"\xff\xff\xff\xff", "an Arrow stream, wanted JSON Lines or Parquet (in Python: Dataset.to_parquet)"},
	{"\xff\xfe", "UTF-16, wanted UTF-8"},
	{"\xfe\xff", "UTF-16, wanted UTF-8"},
	{"version https://git-lfs", "a pointer of Git LFS, wanted the file itself"},
}

// form is how a file is read.
type form struct {
	pairs  bool // of rows that Read wants: members that it does not read are not kept
	packed bool // gzip may be unpacked
}

// read calls use with rows until it returns false.
func read(r io.Reader, form form, use func(Object) bool) error {
	in := bufio.NewReaderSize(r, 1<<16)
	head, err := in.Peek(24)
	if err != nil && err != io.EOF {
		return err
	}
	for _, o := range others {
		if bytes.HasPrefix(head, []byte(o.magic)) {
			return errors.New(o.name)
		}
	}
	switch {
	case bytes.HasPrefix(head, []byte("PAR1")):
		return readParquet(in, form.pairs, use)
	case bytes.HasPrefix(head, []byte("\x1f\x8b")) && form.packed:
		unpacked, err := gzip.NewReader(in)
		if err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
		form.packed = false
		return read(unpacked, form, use)
	case bytes.HasPrefix(head, []byte("\ufeff")):
		in.Discard(3)
	}
	for {
		b, err := in.Peek(1)
		if err != nil || !bytes.ContainsAny(b, " \t\r") { // line ends count as lines
			break
		}
		in.Discard(1)
	}
	array, err := isArray(in)
	if err != nil {
		return err
	}
	if array {
		return readArray(in, use)
	}
	return readLines(in, use)
}

// isArray looks past empty lines, within the buffer.
func isArray(in *bufio.Reader) (bool, error) {
	for n := 1; n <= in.Size(); n++ {
		b, err := in.Peek(n)
		if len(b) < n {
			if err == io.EOF {
				err = nil
			}
			return false, err
		}
		if !bytes.ContainsAny(b[n-1:], " \t\r\n") {
			return b[n-1] == '[', nil
		}
	}
	return false, nil
}

func readLines(in io.Reader, use func(Object) bool) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxRow)
	n := 0
	for lines.Scan() {
		n++
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		if !use(object(n, text)) {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("line %d: %w", n+1, err)
	}
	return nil
}

func readArray(in io.Reader, use func(Object) bool) error {
	bound := &bounded{r: in, left: maxRow}
	d := json.NewDecoder(bound)
	if _, err := d.Token(); err != nil {
		return err
	}
	for n := 1; d.More(); n++ {
		bound.left = maxRow
		var text json.RawMessage
		if err := d.Decode(&text); err != nil {
			return fmt.Errorf("row %d of the array: %w", n, noEOF(err))
		}
		if !use(object(n, text)) {
			return nil
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("array: %w", noEOF(err))
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("text after the array, wanted its end")
	}
	return nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// bounded fails when more than left bytes are read.
type bounded struct {
	r    io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("more than %d MiB, wanted less in a row", maxRow>>20)
	}
	n, err := b.r.Read(p)
	b.left -= n
	return n, err
}
