package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// table is a Markdown table.
type table struct {
	head []string
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// String writes the table. A bar in a cell would end it, so it is escaped.
func (t *table) String() string {
	var b strings.Builder
	line := func(cells []string) {
		for _, c := range cells {
			b.WriteString("| " + strings.ReplaceAll(c, "|", `\|`) + " ")
		}
		b.WriteString("|\n")
	}
	line(t.head)
	b.WriteString(strings.Repeat("|---", len(t.head)) + "|\n")
	for _, r := range t.rows {
		line(append(r, make([]string, len(t.head)-len(r))...))
	}
	return b.String()
}

// figure writes a number above 0 with three digits, or all before the point, in groups of three.
func figure(x float64) string {
	switch {
	case x >= 1000:
		s := fmt.Sprintf("%.0f", x)
		for at := len(s) - 3; at > 0; at -= 3 {
			s = s[:at] + "," + s[at:]
		}
		return s
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

// both writes best and median.
func both(best, median float64) string { return figure(best) + " (" + figure(median) + ")" }

// best is the smallest.
func best(x []float64) float64 { return slices.Min(x) }

// median is the middle value, of two in the middle the smaller.
func median(x []float64) float64 {
	s := slices.Sorted(slices.Values(x))
	return s[(len(s)-1)/2]
}

// mark says whether a goal is reached.
func mark(met bool) string {
	if met {
		return "met"
	}
	return "MISSED"
}

// wrap breaks a paragraph into lines of at most width characters.
func wrap(s string, width int) string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return strings.Join(append(lines, line), "\n")
}
