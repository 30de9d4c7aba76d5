package main

import (
	"io"

	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/output"
	"github.com/implicitreward/implicitreward/logprob"
)

// checkFiles decides the format of the output and refuses one that cannot be written.
func (o *flags) checkFiles() (file output.File, err error) {
	if o.format, err = cli.OutputFormat(o.out, o.format, [2]string{"csv", ".csv"}, [2]string{"parquet", ".parquet"}); err != nil {
		return file, err
	}
	if err := cli.RefuseOverwrite(o.out, o.prompts); err != nil {
		return file, err
	}
	file = output.File{Path: o.out, Force: o.force}
	if o.out == "-" {
		return file, nil
	}
	return file, output.Check(file)
}

// write writes the table, and returns the name of where it went.
func (o *flags) write(table *logprob.Table, file output.File, stdout io.Writer) (string, error) {
	switch {
	case o.out == "-" && o.format == "parquet":
		return "standard output", table.WriteParquet(stdout)
	case o.out == "-":
		return "standard output", table.WriteCSV(stdout)
	case o.format == "parquet":
		return o.out, file.Write(table.WriteParquet)
	}
	return o.out, file.WriteWithMeta(table.WriteCSV, table.Meta.WriteJSON)
}
