package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/implicitreward/implicitreward/implicit/preference"
	"github.com/implicitreward/implicitreward/internal/regular"
)

// name is what errors call the data.
func (o *flags) name() string {
	if o.data == "-" {
		return "standard input"
	}
	return o.data
}

// read reads the file of preferences, and its sha256.
func (o *flags) read(ctx context.Context, stdin io.Reader) (rows []preference.Row, hash string, err error) {
	in := stdin
	if o.data != "-" {
		f, _, err := regular.Open(o.data, regular.Scores)
		if err != nil {
			return nil, "", fmt.Errorf("data: %w", err)
		}
		defer f.Close()
		in = f
	}
	sum := sha256.New()
	in = io.TeeReader(regular.Limit(in, regular.Scores), sum)
	for row, err := range preference.Read(ctx, in) {
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", o.name(), err)
		}
		rows = append(rows, row)
	}
	_, err = io.Copy(io.Discard, in) // what stands after the last row
	return rows, hex.EncodeToString(sum.Sum(nil)), err
}
