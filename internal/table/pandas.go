package table

import (
	"math"
	"slices"
	"strconv"
)

// PandasIndex is the column of a Parquet file in which pandas stores its index.
const PandasIndex = "__index_level_0__"

// PandasMissing reports whether pandas.read_csv by default reads the text as a missing value
// (STR_NA_VALUES, pandas 3.0).
func PandasMissing(text string) bool { return slices.Contains(missing[:], text) }

var missing = [...]string{"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
	"NULL", "NaN", "None", "n/a", "nan", "null"}

// AppendFloat appends a number of 32 or 64 bits with the fewest digits that restore it;
// infinity is written as in pandas and numpy.
func AppendFloat(dst []byte, x float64, bits int) []byte {
	switch {
	case math.IsInf(x, 1):
		return append(dst, "inf"...)
	case math.IsInf(x, -1):
		return append(dst, "-inf"...)
	}
	return strconv.AppendFloat(dst, x, 'g', -1, bits)
}
