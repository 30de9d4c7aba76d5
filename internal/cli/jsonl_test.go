package cli

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestLines: empty lines do not count, numbers go on, a mark is skipped.
func TestLines(t *testing.T) {
	var got []string
	var numbers []int
	for line, err := range Lines(t.Context(), strings.NewReader("\ufeff one\r\n\n \ntwo\nthree"), "in") {
		if err != nil {
			t.Fatal(err)
		}
		got, numbers = append(got, string(line.Text)), append(numbers, line.Number)
	}
	if !slices.Equal(got, []string{"one", "two", "three"}) || !slices.Equal(numbers, []int{1, 4, 5}) {
		t.Errorf("%q, %v", got, numbers)
	}
}

// TestLinesLong: a line that is too long is an error by itself, and the next one is read.
func TestLinesLong(t *testing.T) {
	in := io.MultiReader(strings.NewReader("one\n"), strings.NewReader(strings.Repeat("x", maxLine+1)), strings.NewReader("\ntwo"))
	var got []string
	for line, err := range Lines(t.Context(), in, "in") {
		if err != nil {
			t.Fatal(err)
		}
		if line.Err != nil {
			line.Text = []byte(line.Err.Error())
		}
		got = append(got, string(line.Text))
	}
	if want := []string{"one", "more than 64 MiB, wanted less in a line", "two"}; !slices.Equal(got, want) {
		t.Errorf("%.100q, wanted %q", got, want)
	}
}

// TestLinesStop: the end of the context ends a program that waits for a line.
func TestLinesStop(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in, w := io.Pipe()
	defer w.Close()
	time.AfterFunc(10*time.Millisecond, cancel)
	n := 0
	for line, err := range Lines(ctx, in, "in") {
		if n++; !errors.Is(err, context.Canceled) {
			t.Errorf("line %v, error %v, wanted %v", line, err, context.Canceled)
		}
	}
	if n != 1 {
		t.Errorf("%d lines, wanted the error alone", n)
	}
}
