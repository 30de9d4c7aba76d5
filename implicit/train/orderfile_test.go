package train

import (
	"slices"
	"strings"
	"testing"
)

// TestReadOrder: indices are read as they stand; what is none is an error with its line.
func TestReadOrder(t *testing.T) {
	for _, test := range []struct {
		file string
		want []int
		err  string
	}{
		{"2\n0\n\n 1 \r\n2", []int{2, 0, 1, 2}, ""},
		{"0\n-1\n", nil, `line 2: "-1", wanted the index of a row, from 0`},
		{"0\n1.5\n", nil, `line 2: "1.5", wanted the index of a row, from 0`},
		{"[0, 1]", nil, `line 1: "[0, 1]", wanted the index of a row, from 0`},
		{"\n\n", nil, "empty, wanted the index of a row a line"},
	} {
		got, err := ReadOrder(strings.NewReader(test.file))
		if !slices.Equal(got, test.want) || (err == nil) != (test.err == "") || err != nil && !strings.HasSuffix(err.Error(), test.err) {
			t.Errorf("%q: %v, %v, wanted %v, %s", test.file, got, err, test.want, test.err)
		}
	}
}
