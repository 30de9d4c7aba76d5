// Package table reads and writes the tables of this library, as CSV and as Parquet.
//
// CSV is comma-separated text as RFC 4180 lays it down and pandas writes it, and no byte
// of a field changes. Tokens are the fields: encoding/csv turns "\r\n" inside quotes
// into "\n", so that two tokens of one vocabulary become one. The reader is strict (quotes
// only around whole fields, doubled inside), and every error names the line of the
// file and the column. Lines are counted by "\n", also inside quotes. A line with
// nothing in it is skipped; an empty field that stands alone on its line is written
// "". A "\r" that no "\n" follows is part of its field, quoted or not: Python's csv
// module, and so pandas, writes the token "\r" without quotes. A byte order mark at
// the start is skipped.
//
// Parquet is read and written by parquet-go, of which v0.32.0 takes a damaged file at its
// word, can ask for memory without end, and panics.
package table
