// Score computes implicit rewards: of a list of words after each of some prompts, or of
// pairs of a prompt and a reply.
//
//	score -tuned HuggingFaceTB/SmolLM2-135M-Instruct -base HuggingFaceTB/SmolLM2-135M -corpus words.csv -out r.csv
package main

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/cli"
)

func main() { cli.Main("score", run) }

// flags are the program's own.
type flags struct {
	cli.PairFlags
	rm                                    cli.RMFlags
	corpus, wordlist, prompts, pairs, out string
	format                                string
	forms                                 []lexicon.Form
	measures                              []words.Measure
	scoreMeasures                         []words.ScoreMeasure // with -rm
	vary                                  []string
	steps                                 []int // of a training run, with -format series
	force                                 bool
}

func run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, args []string) error {
	o, err := parse(args, stdout)
	switch {
	case err != nil:
		return err
	case o.pairs != "":
		return scorePairs(ctx, o, stdin, stdout, stderr)
	case o.format == inSeries:
		return scoreSeries(ctx, o, stdin, stdout, stderr)
	case o.rm.RM != "":
		return scoreCorpusRM(ctx, o, stdin, stdout, stderr)
	}
	return scoreCorpus(ctx, o, stdin, stdout, stderr)
}

// parse reads the flags and refuses those that do not go together.
func parse(args []string, stdout io.Writer) (*flags, error) {
	f := cli.NewFlags("score", purpose, examples)
	o := &flags{}
	f.StringVar(&o.corpus, "corpus", "", "`file` of words: CSV Category,token_decoded; CSV or .dicx with a column a category; LIWC .dic; or one word a line")
	f.StringVar(&o.prompts, "prompts", "paper", "`prompts`: paper (54 built in), or a file: JSON {\"name\": \"prompt\"}, CSV name,prompt, or YAML name: \"prompt\"; - for lines {\"name\": ..., \"prompt\": ...} from standard input")
	f.StringVar(&o.wordlist, "wordlist", "", "`file` of words, one a line, by which wildcards of the corpus (free*) are replaced; without it they are refused")
	forms := f.String("forms", "all", "`forms` in which a word is scored as the reply, comma-separated: {} is the word, {lower}, {title}, {upper} are it in that case, and \" {}\" has a space before it; all: these four, with and without a space; with -rm the default is {lower}, as in the paper")
	measures := f.String("measure", string(words.Pooled), "`measures`, comma-separated: "+strings.Join(names(words.Measures()), ", ")+"; with -rm "+strings.Join(names(words.ScoreMeasures()), ", ")+", by default exact")
	vary := f.String("vary", "", "`what` to vary, comma-separated: rendering, forms, measure, dtype: which ranks survive it goes to NAME.vary.csv and is printed")
	f.StringVar(&o.pairs, "pairs", "", "`file` of pairs, JSON Lines, instead of a corpus; - for standard input")
	f.StringVar(&o.out, "out", "", "`file` to write: .csv or .parquet with -corpus, .jsonl with -pairs; - for standard output")
	f.StringVar(&o.format, "format", "", "`form` of the output: csv or parquet with -corpus; with -rm paper, a row a word and a column a prompt; series, a column for each of several models -tuned or -rm, the checkpoints of a training run; jsonl or inspect with -pairs; default: by the file's ending, csv or jsonl on standard output")
	force := f.Force()
	o.RegisterBeta(f)
	o.Register(f)
	o.RegisterDevices(f)
	o.rm.RegisterRM(f)
	if err := f.Parse(args, stdout); err != nil {
		return nil, err
	}
	o.force = *force
	var err error
	if o.rm.RM != "" {
		err = o.checkRM(f, *forms, *measures)
	} else {
		err = o.checkPair(f, *forms, *measures, *vary)
	}
	if err != nil {
		return nil, err
	}
	if (o.corpus == "") == (o.pairs == "") {
		return nil, cli.Usagef("wanted -corpus or -pairs, one of them")
	}
	if name := f.Given("forms", "measure", "wordlist", "vary"); name != "" && o.pairs != "" {
		return nil, cli.Usagef("-%s with -pairs, wanted it with -corpus alone", name)
	}
	return o, nil
}

// checkPair reads the flags of a run with a tuned and a base model.
func (o *flags) checkPair(f *cli.Flags, forms, measures, vary string) (err error) {
	if err := o.rm.Check(f); err != nil {
		return err
	}
	if err := f.Need("tuned", "base", "out"); err != nil {
		return err
	}
	var further []string // renderings
	if vary != "" {
		further = []string{"chat"}
	}
	if err := o.Check(f, further...); err != nil {
		return err
	}
	if o.forms, err = lexicon.ParseForms(forms); err != nil {
		return cli.Usagef("-forms: %v", err)
	}
	if o.measures, err = words.ParseMeasures(measures); err != nil {
		return cli.Usagef("-measure: %v", err)
	}
	if o.vary, err = parseVary(vary); err != nil {
		return err
	}
	return o.checkSeries("tuned", o.TunedAll, len(o.measures))
}

// parseVary reads the flag -vary.
func parseVary(list string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	names := strings.Split(list, ",")
	for i, name := range names {
		if !slices.Contains(words.Dimensions(), name) {
			return nil, cli.Usagef("-vary %q, wanted some of %s", name, strings.Join(words.Dimensions(), ", "))
		}
		if slices.Contains(names[:i], name) {
			return nil, cli.Usagef("-vary: %q stands twice, wanted each once", name)
		}
	}
	return names, nil
}
