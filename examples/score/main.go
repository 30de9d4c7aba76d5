// Score computes implicit rewards: of a list of words after each of some prompts, or of
// pairs of a prompt and a reply.
//
//	score -tuned HuggingFaceTB/SmolLM2-135M-Instruct -base HuggingFaceTB/SmolLM2-135M -corpus words.csv -out r.csv
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strings"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/logprob"
)

func main() { cli.Main("score", run) }

const purpose = `computes implicit rewards, beta * (ln p_tuned(reply | prompt) - ln p_base(reply | prompt)).
With -corpus, of every word after every prompt: one row a prompt and word, with the
columns prompt, category, word, form, n_tokens, logp_tuned, logp_base, reward. With -pairs,
of each line {"prompt": ..., "reply": ...} of a JSON Lines file, token by token, or, where
the two tokenizers cut the reply differently, by the pieces that they have in common.
Rewards are comparable within one prompt only.`

const examples = `  score -tuned google/gemma-2-2b-it -base google/gemma-2-2b -corpus words.csv -out r.csv
  score -tuned ./tuned -base ./base -corpus words.txt -form " {}" -tuned-as raw -prompts mine.json -out r.parquet
  score -tuned ./tuned -base ./base -pairs pairs.jsonl -out scored.jsonl`

// flags are the program's own.
type flags struct {
	tuned, base, tunedAs, baseAs      string
	corpus, prompts, pairs, form, out string
	beta                              float64
	models                            cli.ModelFlags
}

func run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, args []string) error {
	f := cli.NewFlags("score", purpose, examples)
	var o flags
	f.StringVar(&o.tuned, "tuned", "", "tuned `model`: a folder, or org/name[@revision] on the hub")
	f.StringVar(&o.base, "base", "", "base `model`, likewise")
	f.StringVar(&o.tunedAs, "tuned-as", "chat", "`rendering` of a prompt for the tuned model: chat, as the user's turn of its template, or raw, as it stands")
	f.StringVar(&o.baseAs, "base-as", "raw", "`rendering` for the base model")
	f.StringVar(&o.corpus, "corpus", "", "`file` of words: CSV Category,token_decoded; CSV or .dicx with a column a category; LIWC .dic; or one word a line")
	f.StringVar(&o.prompts, "prompts", "paper", "`prompts`: paper (54 built in), or a file: JSON {\"name\": \"prompt\"}, CSV name,prompt, or YAML name: \"prompt\"")
	f.StringVar(&o.form, "form", "{}", "`form` in which a word is scored as the reply; {} is the word, so \" {}\" puts a space before it")
	f.StringVar(&o.pairs, "pairs", "", "`file` of pairs, JSON Lines, instead of a corpus; - for standard input")
	f.StringVar(&o.out, "out", "", "`file` to write: .csv or .parquet with -corpus, .jsonl with -pairs (or - for standard output)")
	f.Float64Var(&o.beta, "beta", 1, "`factor` of the rewards, above 0")
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
	switch {
	case !(o.beta > 0) || math.IsInf(o.beta, 1):
		return cli.Usagef("-beta %g, wanted a number above 0", o.beta)
	case (o.corpus == "") == (o.pairs == ""):
		return cli.Usagef("wanted -corpus or -pairs, one of them")
	case !strings.Contains(o.form, "{}"):
		return cli.Usagef("-form %q, wanted {} in it, where the word goes", o.form)
	case o.pairs != "":
		return scorePairs(ctx, &o, stdin, stdout, stderr)
	}
	return scoreCorpus(ctx, &o, stderr)
}

// load loads both models.
func (o *flags) load(ctx context.Context, stderr io.Writer) (tuned, base implicit.Policy, m [2]*logprob.Model, closeAll func(), err error) {
	loader, err := o.models.Loader(stderr)
	if err != nil {
		return
	}
	if m[0], tuned, err = loader.Policy(ctx, o.tuned, o.tunedAs); err == nil {
		m[1], base, err = loader.Policy(ctx, o.base, o.baseAs)
	}
	if err != nil {
		loader.Close()
	}
	return tuned, base, m, loader.Close, err
}

// meta says how the rewards are made.
func (o *flags) meta(ctx context.Context, m [2]*logprob.Model, corpusHash string) (implicit.Meta, error) {
	meta := implicit.Meta{Beta: o.beta, Corpus: corpusHash, Form: o.form}
	for i, to := range []*logprob.Meta{&meta.Tuned, &meta.Base} {
		var err error
		if *to, err = m[i].Meta(ctx); err != nil {
			return meta, err
		}
		to.Model = []string{o.tuned, o.base}[i]
		to.Rendering = []string{o.tunedAs, o.baseAs}[i]
		to.Date = o.models.Date
	}
	return meta, nil
}

func scoreCorpus(ctx context.Context, o *flags, stderr io.Writer) error {
	if err := cli.CheckOutput(o.out, ".csv", ".parquet"); err != nil {
		return err
	}
	if err := cli.CheckApart(o.out, o.corpus, o.prompts); err != nil {
		return err
	}
	prompts, err := cli.Prompts(o.prompts)
	if err != nil {
		return err
	}
	corpus, hash, err := cli.Corpus(o.corpus, stderr)
	if err != nil {
		return err
	}
	tuned, base, models, closeAll, err := o.load(ctx, stderr)
	if err != nil {
		return err
	}
	defer closeAll()
	meta, err := o.meta(ctx, models, hash)
	if err != nil {
		return err
	}
	items := func(yield func(implicit.Item) bool) {
		for it := range corpus.Items(prompts) {
			it.Reply = strings.ReplaceAll(o.form, "{}", it.Word)
			if !yield(it) {
				return
			}
		}
	}
	cover := newCoverage(corpus, len(prompts))
	progress := cli.NewProgress(stderr, "scoring", false)
	defer progress.Done()
	rows := cover.rows(implicit.Rewards(ctx, tuned, base, items), o.beta, progress)
	write := func(w io.Writer) error {
		var err error
		if strings.HasSuffix(o.out, ".parquet") {
			err = implicit.WriteParquet(w, rows, meta)
		} else {
			err = implicit.WriteCSV(w, rows)
		}
		if progress.Done(); err == nil {
			cover.print(stderr, o.out)
			if cover.scored == 0 {
				err = fmt.Errorf("no word of %s could be scored", o.corpus)
			}
		}
		return err
	}
	if strings.HasSuffix(o.out, ".parquet") {
		return cli.WriteFile(o.out, write)
	}
	return cli.WriteWithMeta(o.out, write, meta.WriteJSON)
}

// coverage counts what became of a corpus' entries.
type coverage struct {
	entries, prompts int
	scored           int            // rows
	single           map[string]int // forms of one token: "tuned", "base", "both"
	words            map[string]bool
	refused          map[string]string // word: why
	flags            map[string]int
}

func newCoverage(c *implicit.Corpus, prompts int) *coverage {
	return &coverage{entries: len(c.Entries), prompts: prompts, single: map[string]int{}, words: map[string]bool{}, refused: map[string]string{}, flags: map[string]int{}}
}

// rows turns rewards into lines of the output and counts them.
func (c *coverage) rows(rewards iter.Seq2[implicit.Reward, error], beta float64, progress *cli.Progress) iter.Seq2[implicit.Row, error] {
	return func(yield func(implicit.Row, error) bool) {
		done := 0
		for r, err := range rewards {
			done++
			progress.Set(int64(done), int64(c.entries*c.prompts))
			var refused *implicit.ItemError
			if errors.As(err, &refused) {
				c.refused[refused.Item.Word] = refused.Err.Error()
				continue
			}
			if err == nil {
				c.count(r)
			}
			if !yield(r.Row(beta), err) {
				return
			}
		}
	}
}

func (c *coverage) count(r implicit.Reward) {
	c.scored++
	for _, flag := range r.Flags() {
		c.flags[flag]++
	}
	if c.words[r.Word] {
		return
	}
	c.words[r.Word] = true
	tuned, base := len(r.Tuned.LogProb) == 1, len(r.Base.LogProb) == 1
	for name, one := range map[string]bool{"tuned": tuned, "base": base, "both": tuned && base} {
		if one {
			c.single[name]++
		}
	}
}

func (c *coverage) print(w io.Writer, out string) {
	fmt.Fprintf(w, "%s: %d rows: %d entries after %d prompts\n", out, c.scored, c.entries, c.prompts)
	fmt.Fprintf(w, "words scored: %d, of these one token: %d in the tuned model, %d in the base model, %d in both\n",
		len(c.words), c.single["tuned"], c.single["base"], c.single["both"])
	fmt.Fprintf(w, "words refused: %d\n", len(c.refused))
	n := 0
	for _, word := range sortedKeys(c.refused) {
		if n++; n > 10 {
			fmt.Fprintf(w, "  and %d more\n", len(c.refused)-10)
			break
		}
		fmt.Fprintf(w, "  %q: %s\n", word, c.refused[word])
	}
	for _, flag := range sortedKeys(c.flags) {
		fmt.Fprintf(w, "rows flagged %s: %d\n", flag, c.flags[flag])
	}
}
