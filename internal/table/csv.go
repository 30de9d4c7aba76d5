package table

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxRecord bounds the memory that an unclosed quote can cost, in bytes.
const maxRecord = 16 << 20

// Error is a fault at a place in the file: "line 3, column 2 (name): fact".
type Error struct {
	Line   int    // 1-based
	Column int    // 1-based number of the field; 0 for a fault of the line
	Name   string // the column's name in the header, if there is one
	Fact   string
}

func (e *Error) Error() string {
	switch {
	case e.Column == 0:
		return fmt.Sprintf("line %d: %s", e.Line, e.Fact)
	case e.Name == "":
		return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Fact)
	}
	return fmt.Sprintf("line %d, column %d (%s): %s", e.Line, e.Column, e.Name, e.Fact)
}

// CSVReader reads records one by one. Use NewCSVReader.
type CSVReader struct {
	Comma byte // separator; 0 means a comma. Set it before reading

	src        io.Reader
	buf        []byte
	pos, end   int // buf[pos:end] is read and not yet parsed
	eof        bool
	next       int // line number at pos
	line       int // line number at which the last record starts
	fields     [][]byte
	lines      []int  // line of each field; empty for a record without quotes, which is one line
	scratch    []byte // fields with doubled quotes, unescaped
	header     []string
	headerLine int
}

// NewCSVReader returns a buffered reader of src.
func NewCSVReader(src io.Reader) *CSVReader {
	return &CSVReader{src: src, buf: make([]byte, 1<<18), next: 1}
}

// Header reads the first record as the header: later records must have as many fields, and
// errors name its columns. The error for an empty file is io.EOF.
func (r *CSVReader) Header() ([]string, error) {
	rec, err := r.Read()
	if err != nil {
		return nil, err
	}
	names := make([]string, len(rec))
	for i, f := range rec {
		names[i] = string(f)
	}
	r.header, r.headerLine = names, r.line
	return names, nil
}

// Read returns the next record, valid until the next call, and io.EOF after the last.
func (r *CSVReader) Read() ([][]byte, error) {
	if r.next == 1 && r.pos == 0 && r.end == 0 {
		for r.end < 3 && !r.eof {
			if err := r.fill(); err != nil {
				return nil, err
			}
		}
		if bytes.HasPrefix(r.buf[:r.end], []byte("\ufeff")) {
			r.pos = 3
		}
	}
	for {
		r.line = r.next
		r.fields, r.lines, r.scratch = r.fields[:0], r.lines[:0], r.scratch[:0]
		line, n, err := r.scanLine()
		if err != nil {
			return nil, err
		}
		if bytes.IndexByte(line, '"') < 0 {
			r.pos += n
			r.next++
			if len(line) == 0 {
				continue
			}
			err = r.split(line)
		} else {
			err = r.quoted()
		}
		if err != nil {
			return nil, err
		}
		if r.header != nil && len(r.fields) != len(r.header) {
			return nil, &Error{Line: r.line, Fact: fmt.Sprintf("%d columns, wanted %d as in line %d", len(r.fields), len(r.header), r.headerLine)}
		}
		return r.fields, nil
	}
}

// Line returns the line of the file at which field i of the last record starts.
func (r *CSVReader) Line(i int) int {
	if i < len(r.lines) {
		return r.lines[i]
	}
	return r.line
}

// Errorf makes an error about field i of the last record.
func (r *CSVReader) Errorf(i int, format string, args ...any) error {
	e := &Error{Line: r.Line(i), Column: i + 1, Fact: fmt.Sprintf(format, args...)}
	if i < len(r.header) {
		e.Name = r.header[i]
	}
	return e
}

// fill reads more data behind what is buffered. It grows the buffer if one record fills it.
func (r *CSVReader) fill() error {
	if r.pos > 0 {
		copy(r.buf, r.buf[r.pos:r.end])
		r.pos, r.end = 0, r.end-r.pos
	}
	if r.end == len(r.buf) {
		if r.end >= maxRecord {
			return &Error{Line: r.line, Fact: fmt.Sprintf("record longer than %d bytes, wanted a closing quote or a line end", maxRecord)}
		}
		r.buf = append(r.buf, make([]byte, len(r.buf))...)
	}
	for tries := 0; ; tries++ {
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		switch {
		case errors.Is(err, io.EOF):
			r.eof = true
			return nil
		case err != nil:
			return fmt.Errorf("line %d: %w", r.next, err)
		case n > 0:
			return nil
		case tries == 100:
			return fmt.Errorf("line %d: %w", r.next, io.ErrNoProgress)
		}
	}
}

// scanLine returns the bytes up to the next line end, without it, and their number with it.
// It does not advance.
func (r *CSVReader) scanLine() (line []byte, n int, err error) {
	seen := 0
	for {
		held := r.buf[r.pos:r.end]
		if i := bytes.IndexByte(held[seen:], '\n'); i >= 0 {
			line = held[:seen+i]
			n = len(line) + 1
			return bytes.TrimSuffix(line, []byte("\r")), n, nil
		}
		if r.eof {
			if len(held) == 0 {
				return nil, 0, io.EOF
			}
			return bytes.TrimSuffix(held, []byte("\r")), len(held), nil
		}
		seen = len(held)
		if err := r.fill(); err != nil {
			return nil, 0, err
		}
	}
}

func (r *CSVReader) comma() byte {
	if r.Comma == 0 {
		return ','
	}
	return r.Comma
}

// split splits a line without quotes into fields.
func (r *CSVReader) split(line []byte) error {
	comma := r.comma()
	for rest, more := line, true; more; {
		i := bytes.IndexByte(rest, comma)
		if i < 0 {
			r.fields, more = append(r.fields, rest), false
			break
		}
		r.fields = append(r.fields, rest[:i])
		rest = rest[i+1:]
	}
	if utf8.Valid(line) {
		return nil
	}
	for i := range r.fields {
		if err := r.plain(i); err != nil {
			return err
		}
	}
	return nil
}

// plain returns an error if field i, which is unquoted, contains what must be quoted.
func (r *CSVReader) plain(i int) error {
	f := r.fields[i]
	switch {
	case bytes.IndexByte(f, '"') >= 0:
		return r.Errorf(i, "a quote inside a field without quotes, wanted the field in quotes and the quote doubled")
	case !utf8.Valid(f):
		return r.Errorf(i, "not valid UTF-8")
	}
	return nil
}

// quoted parses the record at pos, which has a quote in its first line, and advances.
func (r *CSVReader) quoted() error {
	for {
		n, lines, err := r.parse(r.buf[r.pos:r.end])
		if err != nil {
			return err
		}
		if n > 0 {
			r.pos += n
			r.next += lines
			return nil
		}
		if err := r.fill(); err != nil {
			return err
		}
		r.fields, r.lines, r.scratch = r.fields[:0], r.lines[:0], r.scratch[:0]
	}
}

// parse splits the record at the start of b into fields and returns its length and number
// of line ends; 0 if b is incomplete. It stays in one piece because what may follow a field
// depends on how the field ended.
func (r *CSVReader) parse(b []byte) (n, lines int, err error) {
	comma := r.comma()
	ends := string([]byte{comma, '\n'})
	for i := 0; ; {
		r.lines = append(r.lines, r.line+lines)
		if i < len(b) && b[i] == '"' {
			size, inside := r.unquote(b[i+1:])
			if size < 0 {
				if !r.eof {
					return 0, 0, nil
				}
				r.fields = append(r.fields, nil)
				return 0, 0, r.Errorf(len(r.fields)-1, "the file ends inside quotes")
			}
			lines += inside
			i += 1 + size
		} else {
			j := bytes.IndexAny(b[i:], ends)
			if j < 0 {
				if !r.eof {
					return 0, 0, nil
				}
				j = len(b) - i
			}
			f := b[i : i+j]
			i += j
			if i == len(b) || b[i] == '\n' {
				f = bytes.TrimSuffix(f, []byte("\r"))
			}
			r.fields = append(r.fields, f)
			if err := r.plain(len(r.fields) - 1); err != nil {
				return 0, 0, err
			}
		}
		last := len(r.fields) - 1
		if !utf8.Valid(r.fields[last]) {
			return 0, 0, r.Errorf(last, "not valid UTF-8")
		}
		rest := b[i:]
		switch {
		case len(rest) == 0 && !r.eof, len(rest) == 1 && rest[0] == '\r' && !r.eof:
			return 0, 0, nil
		case len(rest) == 0, len(rest) == 1 && rest[0] == '\r':
			return i + len(rest), lines + 1, nil
		case rest[0] == comma:
			i++
		case rest[0] == '\n':
			return i + 1, lines + 1, nil
		case rest[0] == '\r' && rest[1] == '\n':
			return i + 2, lines + 1, nil
		default:
			return 0, 0, r.Errorf(last, "text after the closing quote, wanted a comma or a line end (a quote inside quotes is doubled)")
		}
	}
}

// unquote appends the field whose opening quote is just before b. It returns the length
// including the closing quote, or -1 if b is incomplete, and the number of line ends inside.
func (r *CSVReader) unquote(b []byte) (size, lines int) {
	from, start := 0, len(r.scratch)
	for i := 0; ; {
		j := bytes.IndexByte(b[i:], '"')
		if j < 0 || i+j+1 == len(b) && !r.eof {
			return -1, 0 // no closing quote yet, or not the byte that tells it from a doubled one
		}
		i += j + 1
		if i < len(b) && b[i] == '"' {
			r.scratch = append(r.scratch, b[from:i]...)
			i++
			from = i
			continue
		}
		f := b[from : i-1]
		if from > 0 {
			r.scratch = append(r.scratch, f...)
			f = r.scratch[start:len(r.scratch):len(r.scratch)]
		}
		r.fields = append(r.fields, f)
		return i, bytes.Count(f, []byte("\n"))
	}
}
