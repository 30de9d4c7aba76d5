package shard

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// maxLine bounds a line of the input.
const maxLine = 64 << 20

// cut reads the input and returns its pieces, as shards without model and prompts.
func (p *Plan) cut(ctx context.Context, f Folder) ([]Shard, error) {
	in, err := f.fs().OpenRead(ctx, f.input(p))
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	defer in.Close()
	whole := sha256.New()
	lines := bufio.NewReaderSize(io.TeeReader(in, whole), 1<<16)
	c := cutter{items: p.items(), bytes: p.bytes(), sum: sha256.New()}
	for n := 1; ; n++ {
		line, err := readLine(lines)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s: line %d: %w", f.input(p), n, err)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		full := len(bytes.TrimSpace(line)) > 0
		if full {
			if bad := p.checkLine(line); bad != nil {
				return nil, fmt.Errorf("%s: line %d: %w", f.input(p), n, bad)
			}
		}
		c.add(line, full)
		if err != nil {
			break
		}
	}
	c.end()
	if len(c.pieces) == 0 {
		return nil, fmt.Errorf("%s: no lines, wanted {\"reply\": ...}", f.input(p))
	}
	p.Lines, p.InputHash = c.pieces[len(c.pieces)-1].Lines[1], hex.EncodeToString(whole.Sum(nil))
	return c.pieces, nil
}

// input is the name of the input: in the folder, or as it stands.
func (f Folder) input(p *Plan) string {
	if p.Input == "" || bytes.ContainsAny([]byte(p.Input), "/\\") {
		return p.Input
	}
	return f.name(p.Input)
}

// cutter makes pieces of lines.
type cutter struct {
	items  int
	bytes  int64
	sum    hash.Hash // of the piece
	piece  Shard
	pieces []Shard
}

// add adds a line with its end; full says whether it is one.
func (c *cutter) add(line []byte, full bool) {
	if n := c.piece.Lines[1] - c.piece.Lines[0]; full && n > 0 && (n == c.items || c.piece.Bytes[1]-c.piece.Bytes[0]+int64(len(line)) > c.bytes) {
		c.end()
	}
	c.sum.Write(line)
	c.piece.Bytes[1] += int64(len(line))
	if full {
		c.piece.Lines[1]++
	}
}

// end ends the piece, if it has lines, and begins the next.
func (c *cutter) end() {
	if c.piece.Lines[0] == c.piece.Lines[1] {
		return
	}
	c.piece.Hash = hex.EncodeToString(c.sum.Sum(nil))
	c.pieces = append(c.pieces, c.piece)
	c.sum.Reset()
	c.piece = Shard{Lines: [2]int{c.piece.Lines[1], c.piece.Lines[1]}, Bytes: [2]int64{c.piece.Bytes[1], c.piece.Bytes[1]}}
}

// readLine returns a line with its end, and io.EOF with the last one.
func readLine(in *bufio.Reader) (line []byte, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			return nil, fmt.Errorf("more than %d MiB, wanted less in a line", maxLine>>20)
		}
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// checkLine refuses a line that cannot be read.
func (p *Plan) checkLine(line []byte) (err error) {
	if p.Preferences {
		_, err = strictjson.Object(bytes.TrimPrefix(bytes.TrimSpace(line), []byte("\ufeff")), `{"prompt": ..., "chosen": ..., "rejected": ...}`)
		return err
	}
	_, err = entry(line)
	return err
}

// piece reads the bytes of a shard, which must be those of the plan.
func (p *Plan) piece(ctx context.Context, f Folder, s Shard) ([]byte, error) {
	data, err := f.piece(ctx, f.input(p), s.Bytes[0], s.Bytes[1])
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != s.Hash {
		return nil, fmt.Errorf("%s: lines %d to %d are not those of the plan, wanted the file as it was", f.input(p), s.Lines[0], s.Lines[1])
	}
	return data, nil
}

// entries reads the lines of a shard of replies.
func (p *Plan) entries(f Folder, s Shard, data []byte) ([]lexicon.Entry, error) {
	var all []lexicon.Entry
	for line := range bytes.Lines(data) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		e, err := entry(line)
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", f.input(p), s.Lines[0]+len(all), err)
		}
		all = append(all, e)
	}
	return all, nil
}

// wanted is the form of a line, for errors.
const wanted = `{"reply": ...}`

// entry reads a line.
func entry(line []byte) (e lexicon.Entry, err error) {
	members, err := strictjson.Object(bytes.TrimPrefix(bytes.TrimSpace(line), []byte("\ufeff")), wanted)
	if err != nil {
		return e, err
	}
	for _, name := range []string{"prompt", "messages", "chosen", "rejected"} {
		if !strictjson.Null(members[name]) {
			return e, fmt.Errorf("%q, wanted replies, each of which is scored after every prompt of the plan", name)
		}
	}
	reply, ok, err := strictjson.String(members["reply"])
	switch {
	case err != nil:
		return e, fmt.Errorf("\"reply\": %w", err)
	case !ok:
		return e, errors.New(`no "reply", wanted it as a string`)
	}
	e.Term = reply
	for name, to := range map[string]any{"categories": &e.Categories, "wildcard": &e.Wildcard, "from": &e.From} {
		if strictjson.Null(members[name]) {
			continue
		}
		if err := json.Unmarshal(members[name], to); err != nil {
			return e, fmt.Errorf("%q: %w", name, err)
		}
	}
	return e, nil
}

// AppendEntry appends the line of an entry, with its end: what New reads.
func AppendEntry(dst []byte, e lexicon.Entry) ([]byte, error) {
	b, err := strictjson.Marshal(struct {
		Reply      string   `json:"reply"`
		Categories []string `json:"categories,omitempty"`
		Wildcard   bool     `json:"wildcard,omitempty"`
		From       string   `json:"from,omitempty"`
	}{e.Term, e.Categories, e.Wildcard, e.From})
	if err != nil {
		return nil, fmt.Errorf("shard: %w", err)
	}
	return append(append(dst, b...), '\n'), nil
}
