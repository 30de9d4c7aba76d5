package tokenize

import (
	"slices"
	"testing"
)

func TestCover(t *testing.T) {
	for _, c := range []struct {
		name     string
		spans    [][2]int
		n        int
		want     [][2]int
		start    int
		reply    int
		straddle bool
	}{
		{"plain", [][2]int{{0, 2}, {2, 5}}, 5, [][2]int{{0, 2}, {2, 5}}, 2, 1, false},
		{"straddle", [][2]int{{0, 2}, {2, 5}}, 5, [][2]int{{0, 2}, {2, 5}}, 3, 1, true},
		{"several tokens of one character", [][2]int{{0, 3}, {0, 3}, {0, 4}}, 4, [][2]int{{0, 3}, {0, 3}, {0, 4}}, 3, 2, true},
		{"an accent merged away", [][2]int{{0, 1}, {1, 2}, {4, 5}}, 5, [][2]int{{0, 1}, {1, 4}, {4, 5}}, 2, 1, true},
		{"an accent merged away at the end", [][2]int{{0, 1}}, 3, [][2]int{{0, 3}}, 1, 0, true},
		{"a start that is missing", [][2]int{{1, 2}, {2, 3}}, 3, [][2]int{{0, 2}, {2, 3}}, 0, 0, false},
		{"a step back", [][2]int{{0, 4}, {2, 3}}, 5, [][2]int{{0, 4}, {2, 5}}, 4, 1, true},
		{"no reply", [][2]int{{0, 4}}, 4, [][2]int{{0, 4}}, 4, 1, false},
		{"nothing", nil, 0, nil, 0, 0, false},
	} {
		cover(c.spans, c.n)
		if !slices.Equal(c.spans, c.want) {
			t.Errorf("%s: %v, wanted %v", c.name, c.spans, c.want)
		}
		if reply, straddle := boundary(c.spans, c.start); reply != c.reply || straddle != c.straddle {
			t.Errorf("%s: %d %v, wanted %d %v", c.name, reply, straddle, c.reply, c.straddle)
		}
	}
}

func TestMatcher(t *testing.T) {
	m := newMatcher([]string{"<s>", "<s>>", "</s>", "[x]"})
	for s, want := range map[string]int{"": 0, "<s": 0, "<s>": 1, "<s>>": 1, "<s>><s>": 2, "a</s>[x]b": 2, "<<s>": 1, "[x[x]": 1} {
		if got := m.count(s); got != want {
			t.Errorf("%q: %d, wanted %d", s, got, want)
		}
	}
}
