package train

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// ReadOrder reads Options.Order from a file: the index of a row in Data, from 0, a line. A row may
// come several times, or not at all.
func ReadOrder(r io.Reader) ([]int, error) {
	var order []int
	in := bufio.NewScanner(r)
	for line := 1; in.Scan(); line++ {
		text := strings.TrimSpace(in.Text())
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("train: order: line %d: %.40q, wanted the index of a row, from 0", line, text)
		}
		order = append(order, n)
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("train: order: %w", err)
	}
	if len(order) == 0 {
		return nil, errors.New("train: order: empty, wanted the index of a row a line")
	}
	return order, nil
}
