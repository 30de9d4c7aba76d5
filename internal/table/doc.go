// Package table reads and writes the tables of this library, as CSV and as Parquet.
//
//	Format           rows that are structs, in both kinds of file, with how they were made
//	CSVReader        records of a CSV file; AppendField, AppendRecord and AppendFloat write them
//	OpenParquet      a Parquet file: its columns by ReadColumn, its rows by Rows
//	MetaPath, ...    how a file was made: JSON beside a CSV file, in a Parquet file's metadata
//	PandasMissing    what pandas takes for a missing value
//
// How files come to have their names, whole and over nobody else's, is package output's.
//
// CSV is comma-separated text as RFC 4180 lays it down and pandas writes it, and no byte
// of a field changes. Tokens are the fields: encoding/csv turns "\r\n" inside quotes
// into "\n", so that two tokens of one vocabulary become one. The reader is strict (quotes
// only around whole fields, doubled inside), and every error names the line of the
// file and the column. Lines are counted by "\n", also inside quotes. A line with
// nothing in it is skipped; an empty field that is alone on its line is written
// "". A "\r" that no "\n" follows is part of its field, quoted or not: Python's csv
// module, and so pandas, writes the token "\r" without quotes. A byte order mark at
// the start is skipped.
//
// Parquet is read and written by parquet-go, of which v0.32.0 takes a damaged file at its
// word, can ask for memory without end, and panics. Here it is refused, bounded or an error.
package table
