// Score computes implicit rewards: of a list of words after each of some prompts, or of
// pairs of a prompt and a reply.
//
//	score -tuned HuggingFaceTB/SmolLM2-135M-Instruct -base HuggingFaceTB/SmolLM2-135M -corpus words.csv -out r.csv
package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/logprob"
)

func main() { cli.Main("score", run) }

var purpose = `computes implicit rewards, beta * (ln p_tuned(reply | prompt) - ln p_base(reply | prompt)).
With -corpus, of every word after every prompt, in all of its surface forms: one row a
prompt, word and measure, with the columns prompt, category, word, form, n_tokens,
logp_tuned, logp_base, reward, wildcard, measure, n_forms, mwlr, rank; and beside it, in
NAME.coverage.csv (not with -out -), what became of each word. The measures are
` + measureHelp() + `

With -vary, does the order of the categories survive? One thing is changed at a time, and
the words' ranks are compared, in NAME.vary.csv and a table:

  rendering=raw/raw, raw/chat, chat/chat             of the base and of the tuned model
  forms=all, no-space, space, word, space-word       the last two: "{}" and " {}" alone
  ` + fmt.Sprintf("%-51s", "measure="+strings.Join(measureNames(), ", ")) + `exact of the first form
  dtype=f32, bf16                                    loads the models again

With -pairs, of each line {"prompt": ..., "reply": ...} of a JSON Lines file, token by token,
or, where the two tokenizers cut the reply differently, by the pieces that they have in common.
With -format inspect the lines are records {id, value, answer, metadata} instead, with the
reward as the value, which the scorer precomputed_scores of inspect_ai reads: a pair's "id" is
that of the sample, or, where no pair has one, its place from 1, as inspect_ai numbers samples;
"epoch" is kept; a pair that was refused has no record.
A line that is no pair, or cannot be scored, is refused by itself: it comes back with "error"
(without its text, as {"line": ..., "error": ...}, where it is no object of a pair), and the
program ends with exit code 3.
Rewards are comparable within one prompt only. A run that was stopped goes on where it was
when the same command is started again: until the output is complete, OUT.part keeps what
was computed.`

func measureNames() (names []string) {
	for _, m := range words.Measures() {
		names = append(names, string(m))
	}
	return names
}

func measureHelp() string {
	var b strings.Builder
	for _, m := range words.Measures() {
		fmt.Fprintf(&b, "\n  %-7s %s", m, strings.ReplaceAll(m.Doc(), "\n", "\n          "))
	}
	return b.String()
}

const examples = `  score -tuned google/gemma-2-2b-it -base google/gemma-2-2b -corpus words.csv -out r.csv
  score -tuned ./tuned -base ./base -corpus words.txt -forms " {}" -tuned-as raw -prompts mine.json -out r.parquet
  score -tuned ./tuned -base ./base -corpus liwc.dic -wordlist /usr/share/dict/words -measure ended,pooled -out r.csv
  score -tuned ./tuned -base ./base -corpus words.csv -vary rendering,forms,measure,dtype -out r.csv
  score -tuned ./tuned -base ./base -pairs pairs.jsonl -out scored.jsonl
  make-pairs | score -tuned ./tuned -base ./base -pairs - -out - | jq .reward
  score -tuned ./tuned -base ./base -pairs samples.jsonl -format inspect -out scores.jsonl`

// flags are the program's own.
type flags struct {
	tuned, base, tunedAs, baseAs          string
	corpus, wordlist, prompts, pairs, out string
	format                                string
	forms                                 []lexicon.Form
	measures                              []words.Measure
	vary                                  []string
	beta                                  float64
	force                                 bool
	models                                cli.ModelFlags
}

func run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, args []string) error {
	f := cli.NewFlags("score", purpose, examples)
	var o flags
	f.StringVar(&o.tuned, "tuned", "", "tuned `model`: a folder, or org/name[@revision] on the hub")
	f.StringVar(&o.base, "base", "", "base `model`, likewise")
	f.StringVar(&o.tunedAs, "tuned-as", "chat", "`rendering` of a prompt for the tuned model: chat, as the user's turn of its template, or raw, as it stands")
	f.StringVar(&o.baseAs, "base-as", "raw", "`rendering` for the base model")
	f.StringVar(&o.corpus, "corpus", "", "`file` of words: CSV Category,token_decoded; CSV or .dicx with a column a category; LIWC .dic; or one word a line")
	f.StringVar(&o.prompts, "prompts", "paper", "`prompts`: paper (54 built in), or a file: JSON {\"name\": \"prompt\"}, CSV name,prompt, or YAML name: \"prompt\"; - for lines {\"name\": ..., \"prompt\": ...} from standard input")
	f.StringVar(&o.wordlist, "wordlist", "", "`file` of words, one a line, by which wildcards of the corpus (free*) are replaced; without it they are refused")
	forms := f.String("forms", "all", "`forms` in which a word is scored as the reply, comma-separated: {} is the word, {lower}, {title}, {upper} are it in that case, and \" {}\" has a space before it; all: these four, with and without a space")
	measures := f.String("measure", string(words.Pooled), "`measures`, comma-separated: "+strings.Join(measureNames(), ", "))
	vary := f.String("vary", "", "`what` to vary, comma-separated: rendering, forms, measure, dtype: which ranks survive it goes to NAME.vary.csv and is printed")
	f.StringVar(&o.pairs, "pairs", "", "`file` of pairs, JSON Lines, instead of a corpus; - for standard input")
	f.StringVar(&o.out, "out", "", "`file` to write: .csv or .parquet with -corpus, .jsonl with -pairs; - for standard output")
	f.StringVar(&o.format, "format", "", "`form` of the output: csv or parquet with -corpus, jsonl or inspect with -pairs; default: by the file's ending, csv or jsonl on standard output")
	f.Float64Var(&o.beta, "beta", 1, "`factor` of the rewards, above 0")
	force := f.Force()
	o.models.Register(f)
	if err := f.Parse(args, stdout); err != nil {
		return err
	}
	if err := f.Need("tuned", "base", "out"); err != nil {
		return err
	}
	if err := cli.CheckRendering("tuned-as", o.tunedAs); err != nil {
		return err
	}
	if err := cli.CheckRendering("base-as", o.baseAs); err != nil {
		return err
	}
	as := []string{o.tunedAs, o.baseAs}
	if *vary != "" {
		as = append(as, "chat") // of -vary rendering
	}
	if err := o.models.CheckChat(f, as...); err != nil {
		return err
	}
	o.force = *force
	var err error
	if o.forms, err = lexicon.ParseForms(*forms); err != nil {
		return cli.Usagef("-forms: %v", err)
	}
	if o.measures, err = words.ParseMeasures(*measures); err != nil {
		return cli.Usagef("-measure: %v", err)
	}
	if o.vary, err = parseVary(*vary); err != nil {
		return err
	}
	switch {
	case !(o.beta > 0) || math.IsInf(o.beta, 1):
		return cli.Usagef("-beta %g, wanted a number above 0", o.beta)
	case (o.corpus == "") == (o.pairs == ""):
		return cli.Usagef("wanted -corpus or -pairs, one of them")
	case o.pairs != "":
		if name := f.Given("forms", "measure", "wordlist", "vary"); name != "" {
			return cli.Usagef("-%s with -pairs, wanted it with -corpus alone", name)
		}
		return scorePairs(ctx, &o, stdin, stdout, stderr)
	}
	return scoreCorpus(ctx, &o, stdin, stdout, stderr)
}

// load loads both models. What they compute is kept beside the output until the loader is
// told that it is complete. The caller closes the loader.
func (o *flags) load(ctx context.Context, stderr io.Writer) (pair implicit.Pair, m [2]*logprob.Model, loader *cli.Loader, err error) {
	if loader, err = o.models.LoaderFor(o.out, stderr); err != nil {
		return
	}
	pair.Beta = o.beta
	if m[0], pair.Tuned, err = loader.Policy(ctx, o.tuned, "tuned-as", o.tunedAs); err == nil {
		m[1], pair.Base, err = loader.Policy(ctx, o.base, "base-as", o.baseAs)
	}
	if err != nil {
		loader.Close()
	}
	return pair, m, loader, err
}

// meta says how the rewards are made.
func (o *flags) meta(ctx context.Context, loader *cli.Loader, m [2]*logprob.Model) (words.Provenance, error) {
	meta := words.Provenance{Beta: o.beta}
	for i, to := range []*logprob.Meta{&meta.Tuned, &meta.Base} {
		var err error
		if *to, err = m[i].Meta(ctx); err != nil {
			return meta, err
		}
		to.Model = []string{o.tuned, o.base}[i]
		loader.Describe(to, m[i], []string{"tuned-as", "base-as"}[i], []string{o.tunedAs, o.baseAs}[i])
	}
	return meta, nil
}
