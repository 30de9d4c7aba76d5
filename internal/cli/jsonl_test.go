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

// TestHalf: pairs of surrogates and escaped backslashes are text.
func TestHalf(t *testing.T) {
	for in, want := range map[string]bool{
		`"plain"`: false, `"\ud83d\ude00"`: false, `"\uD83D\uDE00x"`: false, `"\\ud83d"`: false, `"\\\ud83d"`: true,
		`"\ud83d"`: true, `"\ude00\ud83d"`: true, `"\ud83dx"`: true, `"\ud83d\ud83d\ude00"`: true, `"\ufffd"`: false, `"\""`: false,
	} {
		if got := half([]byte(in)); got != want {
			t.Errorf("%s: %v, wanted %v", in, got, want)
		}
		if s, ok, err := String([]byte(in), "x"); !ok || (err != nil) != want || !want && s == "" {
			t.Errorf("%s: %q, %v, %v", in, s, ok, err)
		}
	}
	if _, ok, err := String([]byte("7"), "x"); ok || err != nil {
		t.Error(ok, err)
	}
	if _, ok, err := String(nil, "x"); ok || err != nil {
		t.Error(ok, err)
	}
}

// TestObject holds what is no object to its error.
func TestObject(t *testing.T) {
	for in, want := range map[string]string{
		`{"a": 1, "b": {"a": 2, "a": 3}}`: "", `{}`: "",
		`{"a": 1, "a": 2}`: `"a" stands twice, wanted each member once`, "[]": "wanted an object {...}", "": "wanted an object {...}",
		"{\"a\": \"\xff\"}": "not valid UTF-8", `{"a"}`: "invalid character '}' after object key", `{} {}`: "invalid character '{' after top-level value",
	} {
		members, err := Object([]byte(in), "{...}")
		if got := ""; err != nil {
			got = err.Error()
			if got != want {
				t.Errorf("%s: %s, wanted %s", in, got, want)
			}
		} else if want != "" || len(members) != strings.Count(in, "{") && in != "{}" {
			t.Errorf("%s: %v", in, members)
		}
	}
}

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
