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
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/internal/cli"
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

// flags are the program's own.
type flags struct {
	model, as, prompts, out, format string
	certify, force                  bool
	models                          cli.ModelFlags
}

func run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, args []string) error {
	o, err := parse(args, stdout)
	if err != nil {
		return err
	}
	file, err := o.checkFiles()
	if err != nil {
		return err
	}
	prompts, err := cli.Prompts(ctx, o.prompts, stdin)
	if err != nil {
		return err
	}
	loader, err := o.models.Loader(stderr)
	if err != nil {
		return err
	}
	defer loader.Close()
	if err := loader.Resume(o.out); err != nil {
		return err
	}
	model, err := loader.Model(ctx, o.model, "as", o.as)
	if err != nil {
		return err
	}
	texts, err := encode(model, prompts)
	if err != nil {
		return err
	}
	holds := true
	if o.certify {
		if holds, err = cli.Certify(ctx, stderr, o.model, model.Model); err != nil {
			return err
		}
	}
	progress := cli.NewProgress(stderr, "tabulating", false)
	loader.Track(progress, len(texts), 1)
	table, err := model.Table(ctx, texts)
	progress.Done()
	if err != nil {
		return err
	}
	model.Describe(&table.Meta)
	written, err := o.write(table, file, stdout)
	if err != nil {
		return err
	}
	if err := loader.DiscardJournal(); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "%s: %d tokens after %d prompts, %s on %s\n",
		written, len(table.Tokens), len(table.Prompts), table.Meta.DType, table.Meta.Backend)
	if !holds {
		return fmt.Errorf("%s was written, but the promised bounds do not hold here for %s, as it records", written, o.model)
	}
	return nil
}

func parse(args []string, stdout io.Writer) (*flags, error) {
	f := cli.NewFlags("tabulate", purpose, examples)
	o := &flags{}
	f.StringVar(&o.model, "model", "", "`model`: a folder, or org/name[@revision] on the hub, or BASE+ADAPTER, each so, with a LoRA adapter")
	f.StringVar(&o.prompts, "prompts", "paper", "`prompts`: paper (54 built in), or a file: JSON {\"name\": \"prompt\"}, CSV name,prompt, or YAML name: \"prompt\"; - for lines {\"name\": ..., \"prompt\": ...} from standard input")
	f.StringVar(&o.as, "as", "raw", "`rendering` of a prompt: raw, as it stands, or chat, as the user's turn of the checkpoint's template")
	f.StringVar(&o.out, "out", "", "`file` to write, .csv or .parquet; - for standard output")
	f.StringVar(&o.format, "format", "", "`form` of the output: csv or parquet; default: by the file's ending, csv on standard output")
	f.BoolVar(&o.certify, "certify", false, "first compare the model's numbers with a computation in float64, on texts of its own: do the promised bounds hold here? The answer is recorded; exit code 1 if not")
	force := f.Force()
	o.models.Register(f)
	o.models.RegisterDevices(f)
	if err := f.Parse(args, stdout); err != nil {
		return nil, err
	}
	o.force = *force
	if err := f.Need("model", "out"); err != nil {
		return nil, err
	}
	if err := cli.CheckRendering("as", o.as); err != nil {
		return nil, err
	}
	return o, o.models.CheckChat(f, o.as)
}

// encode renders the prompts, without a reply.
func encode(m *cli.Model, prompts []lexicon.Prompt) (texts []logprob.Prompt, err error) {
	policy := m.Policy()
	for _, p := range prompts {
		text, err := policy.Encode(implicit.Item{Prompt: p.Text})
		if err != nil {
			return nil, fmt.Errorf("prompt %s: %w", p.Name, err)
		}
		texts = append(texts, logprob.Prompt{Name: p.Name, Text: text})
	}
	return texts, nil
}
