package main

import (
	"fmt"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/words"
)

var purpose = `computes implicit rewards, beta * (ln p_tuned(reply | prompt) - ln p_base(reply | prompt)),
or, with -rm, the rewards of an explicit reward model.
With -corpus, of every word after every prompt, in all of its surface forms: one row a
prompt, word and measure, with the columns prompt, category, word, form, n_tokens,
logp_tuned, logp_base, reward, wildcard, measure, n_forms, mwlr, rank; and beside it, in
NAME.coverage.csv (not with -out -), what became of each word. The measures are
` + measureHelp(words.Measures()) + `

With -vary, does the order of the categories survive? One thing is changed at a time, and
the words' ranks are compared, in NAME.vary.csv and a table:

  rendering=raw/raw, raw/chat, chat/chat             of the base and of the tuned model
  forms=all, no-space, space, word, space-word       the last two: "{}" and " {}" alone
  ` + fmt.Sprintf("%-51s", "measure="+strings.Join(names(words.Measures()), ", ")) + `exact of the first form
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
With -rm, -corpus gives a row a prompt, word and measure, with the columns prompt, category,
word, form, n_tokens, reward, wildcard, measure, n_forms, rank, flags, outputs (of a head with
several, as JSON). The measures are
` + measureHelp(words.ScoreMeasures()) + `
-format paper gives the paper's file instead: a row a word, in lower case, and a column a
prompt. With -pairs a line comes back with "reward", "ids" (all that the model read), "outputs"
(of its head, by name) and "flags": pooling, transformers would read another token's state;
trimmed, the template trims the reply; special, a text spells a special token.

-format series takes several models -tuned (or -rm), the checkpoints of a training run, whose
names end in step-N or checkpoint-N, and one prompt: a row a text, a column a checkpoint, as
study -series reads. A model is loaded once its turn comes, the base model once for all.

Rewards are comparable within one prompt only. A run that was stopped goes on where it was
when the same command is started again: until the output is complete, OUT.part keeps what
was computed.`

func names[M ~string](measures []M) (all []string) {
	for _, m := range measures {
		all = append(all, string(m))
	}
	return all
}

func measureHelp[M interface {
	~string
	Doc() string
}](measures []M) string {
	var b strings.Builder
	for _, m := range measures {
		fmt.Fprintf(&b, "\n  %-7s %s", m, strings.ReplaceAll(m.Doc(), "\n", "\n          "))
	}
	return b.String()
}

const examples = `  score -tuned google/gemma-2-2b-it -base google/gemma-2-2b -corpus words.csv -out r.csv
  score -tuned ./tuned -base ./base -corpus words.txt -forms " {}" -tuned-as raw -prompts mine.json -out r.parquet
  score -tuned ./tuned -base ./base -corpus liwc.dic -wordlist /usr/share/dict/words -measure ended,pooled -out r.csv
  score -tuned ./tuned -base ./base -corpus words.csv -vary rendering,forms,measure,dtype -out r.csv
  score -tuned ./tuned -base ./base -pairs pairs.jsonl -out scored.jsonl
  score -rm Skywork/Skywork-Reward-Gemma-2-27B-v0.2 -corpus words.csv -out r.csv
  score -rm ./rm -corpus words.csv -forms all -measure exact,best,mean -out r.parquet
  score -rm ./rm -corpus words.csv -format paper -out big2_rewards_org_rm.csv
  score -rm ./base+run/step-100 -rm ./base+run/step-200 -corpus words.csv -prompts one.json -format series -out run.csv
  score -rm ./rm -pairs pairs.jsonl -out scored.jsonl
  make-pairs | score -tuned ./tuned -base ./base -pairs - -out - | jq .reward
  score -tuned ./tuned -base ./base -pairs samples.jsonl -format inspect -out scores.jsonl`
