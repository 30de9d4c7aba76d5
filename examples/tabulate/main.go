// Tabulate writes the log-probability of every token of a model's vocabulary after
// each of some prompts: the tables from which everything else can be computed without
// a model.
//
//	tabulate -model HuggingFaceTB/SmolLM2-135M-Instruct -as chat -out smollm2.csv
package main

import (
	"context"
	"fmt"
	"io"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/output"
	"github.com/implicitreward/implicitreward/logprob"
)

func main() { cli.Main("tabulate", run) }

const purpose = `writes ln p(token | prompt) for every token of a model's vocabulary and every prompt.
One column a prompt, one row a token; natural logarithms. A CSV has the columns of the
paper's code (token_id, token_name, token_decoded, then the prompts), and how it was made
goes into a file beside it, NAME.csv.meta.json; a Parquet file holds both. A run that was
stopped goes on where it was when the same command is started again: until the file is
complete, NAME.csv.part keeps what was computed. With -prompts - and -out - it stands in a
pipe; how a CSV on standard output was made is not written then (Parquet holds it).`

const examples = `  tabulate -model google/gemma-2-2b-it -as chat -out gemma.parquet
  tabulate -model ./my-checkpoint -prompts mine.json -out mine.csv
where mine.json is {"name": "prompt", ...}
  make-prompts | tabulate -model ./my-checkpoint -prompts - -out - > mine.csv`

func run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, args []string) error {
	f := cli.NewFlags("tabulate", purpose, examples)
	var models cli.ModelFlags
	name := f.String("model", "", "`model`: a folder, or org/name[@revision] on the hub")
	promptsFrom := f.String("prompts", "paper", "`prompts`: paper (54 built in), or a file: JSON {\"name\": \"prompt\"}, CSV name,prompt, or YAML name: \"prompt\"; - for lines {\"name\": ..., \"prompt\": ...} from standard input")
	as := f.String("as", "raw", "`rendering` of a prompt: raw, as it stands, or chat, as the user's turn of the checkpoint's template")
	out := f.String("out", "", "`file` to write, .csv or .parquet; - for standard output")
	format := f.String("format", "", "`form` of the output: csv or parquet; default: by the file's ending, csv on standard output")
	certify := f.Bool("certify", false, "first compare the model's numbers with a computation in float64, on texts of its own: do the promised bounds hold here? The answer is recorded; exit code 1 if not")
	force := f.Force()
	models.Register(f)
	if err := f.Parse(args, stdout); err != nil {
		return err
	}
	if err := f.Need("model", "out"); err != nil {
		return err
	}
	if err := cli.CheckRendering("as", *as); err != nil {
		return err
	}
	if err := models.CheckChat(f, *as); err != nil {
		return err
	}
	form, err := cli.OutputFormat(*out, *format, [2]string{"csv", ".csv"}, [2]string{"parquet", ".parquet"})
	if err != nil {
		return err
	}
	if err := cli.CheckApart(*out, *promptsFrom); err != nil {
		return err
	}
	file := output.File{Path: *out, Force: *force}
	if *out != "-" {
		if err := output.Check(file); err != nil {
			return err
		}
	}
	prompts, err := cli.Prompts(ctx, *promptsFrom, stdin)
	if err != nil {
		return err
	}
	loader, err := models.LoaderFor(*out, stderr)
	if err != nil {
		return err
	}
	defer loader.Close()
	model, policy, err := loader.Policy(ctx, *name, "as", *as)
	if err != nil {
		return err
	}
	var texts []logprob.Prompt
	for _, p := range prompts {
		text, err := policy.Encode(implicit.Item{Prompt: p.Text})
		if err != nil {
			return fmt.Errorf("prompt %s: %w", p.Name, err)
		}
		texts = append(texts, logprob.Prompt{Name: p.Name, Text: text})
	}
	holds := true
	if *certify {
		if holds, err = cli.Certify(ctx, stderr, *name, model); err != nil {
			return err
		}
	}
	progress := cli.NewProgress(stderr, "tabulating", false)
	loader.Watch(progress, len(texts), 1)
	table, err := model.Table(ctx, texts)
	progress.Done()
	if err != nil {
		return err
	}
	table.Meta.Model = *name
	loader.Describe(&table.Meta, model, "as", *as)
	written := *out
	switch {
	case *out == "-" && form == "parquet":
		written, err = "standard output", table.WriteParquet(stdout)
	case *out == "-":
		written, err = "standard output", table.WriteCSV(stdout)
	case form == "parquet":
		err = file.Write(table.WriteParquet)
	default:
		err = file.WriteWithMeta(table.WriteCSV, table.Meta.WriteJSON)
	}
	if err != nil {
		return err
	}
	if err := loader.Complete(); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "%s: %d tokens after %d prompts, %s on %s\n",
		written, len(table.Tokens), len(table.Prompts), table.Meta.DType, table.Meta.Backend)
	if !holds {
		return fmt.Errorf("%s was written, but the promised bounds do not hold here for %s, as it records", written, *name)
	}
	return nil
}
