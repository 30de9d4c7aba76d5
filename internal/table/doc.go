// Package table reads and writes the tables of this library, as CSV and as Parquet.
//
//	Format           rows that are structs, in both formats, with their provenance
//	CSVReader        records of a CSV file; AppendField, AppendRecord and AppendFloat write them
//	OpenParquet      a Parquet file: its columns by ReadColumn, its rows by Rows
//	MetaPath, ...    provenance: JSON beside a CSV file, in a Parquet file's metadata
//	PandasMissing    what pandas reads as a missing value
//
// Package output creates the files, whole or not at all, and never over those of others.
//
// CSV is as in RFC 4180 and pandas, and preserves every byte of a field. Fields are tokens:
// encoding/csv would turn "\r\n" inside quotes into "\n", making two tokens of a vocabulary
// one. The reader is strict (quotes only around whole fields, doubled inside), and every
// error names line and column. Lines are counted by "\n", including those in quotes. Empty
// lines are skipped; an empty field alone on its line is written as "". A "\r" not followed
// by "\n" is part of its field, quoted or not, because Python's csv module, and so pandas,
// writes the token "\r" without quotes. A byte order mark at the start is skipped.
//
// Parquet is read and written by parquet-go, which in v0.32.0 trusts a damaged file, can
// allocate without bound, and panics. Here such files are refused, bounded or an error.
package table
