package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// maxLine bounds a line of a JSON Lines file.
const maxLine = 64 << 20

// Line is a line of a JSON Lines file, counted from 1.
type Line struct {
	Number int
	Text   []byte // without spaces around it; its own copy
	Err    error  // the line is too long, and has no Text
}

// Lines yields the lines of a JSON Lines file, but for empty ones; a byte order mark is
// skipped. An error, which names the file, is the last thing. Someone who types the lines
// can stop the program while it waits for one: the end of ctx ends them.
func Lines(ctx context.Context, r io.Reader, name string) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		in := bufio.NewReaderSize(regular.Until(ctx, r), 1<<16)
		for n := 1; ; n++ {
			text, long, err := readLine(in)
			line := Line{Number: n, Text: text, Err: long}
			switch {
			case ctx.Err() != nil:
				yield(Line{}, ctx.Err())
				return
			case err != nil && err != io.EOF:
				yield(Line{}, fmt.Errorf("%s: %w", name, err))
				return
			}
			if n == 1 {
				line.Text = bytes.TrimPrefix(line.Text, []byte("\ufeff"))
			}
			line.Text = bytes.TrimSpace(line.Text)
			if (len(line.Text) > 0 || line.Err != nil) && !yield(line, nil) || err == io.EOF {
				return
			}
		}
	}
}

// readLine reads a line, with its end. Of one that is too long it keeps nothing.
func readLine(in *bufio.Reader) (text []byte, long, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if len(text)+len(part) > maxLine {
			text, long = nil, fmt.Errorf("more than %d MiB, wanted less in a line", maxLine>>20)
		}
		if long == nil {
			text = append(text, part...)
		}
		if err != bufio.ErrBufferFull {
			return text, long, err
		}
	}
}

// Object reads a JSON object's members, strictly; form is what it should look like. A member
// whose name is a known one in another case is refused; others may stand there.
func Object(text []byte, form string, known ...string) (map[string]json.RawMessage, error) {
	members, err := strictjson.Members(text, form)
	if err != nil {
		return nil, err
	}
	object := make(map[string]json.RawMessage, len(members))
	for _, m := range members {
		if folded := strings.ToLower(m.Key); folded != m.Key && slices.Contains(known, folded) {
			return nil, fmt.Errorf("%q, wanted %q in small letters", m.Key, folded)
		}
		object[m.Key] = m.Value
	}
	return object, nil
}

// String reads a JSON string, strictly; name is the string's, for the error. ok is false
// where raw is no string.
func String(raw json.RawMessage, name string) (s string, ok bool, err error) {
	if s, ok, err = strictjson.String(raw); err != nil {
		err = fmt.Errorf("%q: %w", name, err)
	}
	return s, ok, err
}
