package implicit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/internal/table"
	"github.com/implicitreward/implicitreward/internal/testdata/synth"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// The expected numbers come from the paper's own scripts, run on the made-up inputs
// of the archive, which has the words, models and tokens of no real study.
const expectedDir = "../internal/testdata/synth/expected/"

// readTable reads a model's log-probabilities; name as the expected files have it, org/model.
func readTable(t *testing.T, model string) *logprob.Table {
	t.Helper()
	tab, err := logprob.ReadCSV(synth.Open(t, "data/logprobs/"+strings.Replace(model, "/", "--", 1)+".csv"))
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func corpus(t *testing.T, name string) *lexicon.Corpus {
	t.Helper()
	c, err := lexicon.ReadCorpus(synth.Open(t, "data/corpora/"+name))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// record is a row of an expected file.
type record map[string]string

func (r record) float(t *testing.T, column string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(r[column], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func rows(t *testing.T, src io.Reader) []record {
	t.Helper()
	r := table.NewCSVReader(src)
	header, err := r.Header()
	if err != nil {
		t.Fatal(err)
	}
	var all []record
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		row := record{}
		for i, f := range rec {
			row[header[i]] = string(f)
		}
		all = append(all, row)
	}
}

func expected(t *testing.T, name string) []record {
	t.Helper()
	data, err := os.ReadFile(expectedDir + name)
	if err != nil {
		t.Fatal(err)
	}
	return rows(t, bytes.NewReader(data))
}

// join is Join in the way of the paper's code, with the row of each token.
func join(t *testing.T, p, q *logprob.Table) (*implicit.Joined, map[string]int) {
	t.Helper()
	j, err := implicit.Join(p, q, &implicit.JoinOptions{DropNA: true})
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int{}
	for i, tok := range j.Tokens {
		at[tok.Text] = i
	}
	if len(at) != len(j.Tokens) {
		t.Fatalf("%d tokens, %d texts", len(j.Tokens), len(at))
	}
	return j, at
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if d := math.Abs(got - want); !(d <= tolerance) {
		t.Errorf("%s: %.17g, want %.17g, off by %.2g", what, got, want, d)
	}
}

// midranks returns the rank of each value, 1 for the largest, ties sharing the mean
// of their places.
func midranks(values []float64) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return -cmpFloat(values[a], values[b]) })
	ranks := make([]float64, len(values))
	for i := 0; i < len(order); {
		k := i
		for k < len(order) && values[order[k]] == values[order[i]] {
			k++
		}
		for _, o := range order[i:k] {
			ranks[o] = float64(i+1+k) / 2
		}
		i = k
	}
	return ranks
}

func cmpFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

const prompt = "greatest_ever_one"

// TestImplicitTables reproduces implicit_*_greatest_ever_one.csv: log-ratio and MWLR
// to 1e-12, their ranks exactly.
func TestImplicitTables(t *testing.T) {
	for file, pair := range map[string][2]string{
		"implicit_gemma_it_to_llama_it_greatest_ever_one.csv": {"meta-llama/Llama-3.2-3B-Instruct", "google/gemma-2-2b-it"},
		"implicit_llama_base_to_it_greatest_ever_one.csv":     {"meta-llama/Llama-3.2-3B-Instruct", "meta-llama/Llama-3.2-3B"},
	} {
		j, at := join(t, readTable(t, pair[0]), readTable(t, pair[1]))
		n := slices.Index(j.Prompts, prompt)
		p, q := j.LogProb(n)
		ratio, mwlr := j.LogRatio(n), j.MWLR(n)
		ratioRank, mwlrRank := midranks(ratio), midranks(mwlr)
		want := expected(t, file)
		if len(want) != len(j.Tokens) {
			t.Errorf("%s: %d tokens, want %d", file, len(j.Tokens), len(want))
		}
		for _, w := range want {
			i, ok := at[w["token_decoded"]]
			if !ok {
				t.Errorf("%s: no token %q", file, w["token_decoded"])
				continue
			}
			what := file + ": " + strconv.Quote(w["token_decoded"])
			near(t, what+" lp1", float64(q[i]), w.float(t, "lp1"), 1e-12)
			near(t, what+" lp2", float64(p[i]), w.float(t, "lp2"), 1e-12)
			near(t, what+" log_ratio", ratio[i], w.float(t, "log_ratio"), 1e-12)
			near(t, what+" mwlr", mwlr[i], w.float(t, "mwlr"), 1e-12)
			near(t, what+" rank_log_ratio", ratioRank[i], w.float(t, "rank_log_ratio"), 0)
			near(t, what+" rank_mwlr", mwlrRank[i], w.float(t, "rank_mwlr"), 0)
		}
	}
}

// TestImplicitMedians reproduces implicit_big2_medians.csv: the dictionary's words
// among the joined tokens, ranked by either score within each of the 54 prompts.
func TestImplicitMedians(t *testing.T) {
	const gemma, llama = "google/gemma-2-2b", "meta-llama/Llama-3.2-3B"
	pairs := map[string][2]string{ // tuned, base
		"gemma_base_to_it":         {gemma + "-it", gemma},
		"llama_base_to_it":         {llama + "-Instruct", llama},
		"gemma_it_to_llama_it":     {llama + "-Instruct", gemma + "-it"},
		"gemma_base_to_llama_base": {llama, gemma},
	}
	type key struct{ pair, prompt, score, category string }
	type value struct{ n, median, mean float64 }
	got := map[key]value{}
	nouns := corpus(t, "dict_big2_nouns.csv")
	for pair, models := range pairs {
		j, at := join(t, readTable(t, models[0]), readTable(t, models[1]))
		var where []int
		var category []string
		for _, e := range nouns.Entries {
			if i, ok := at[e.Term]; ok {
				where, category = append(where, i), append(category, e.Categories[0])
			}
		}
		for n, name := range j.Prompts {
			for score, all := range map[string][]float64{"log_ratio": j.LogRatio(n), "mwlr": j.MWLR(n)} {
				var words []float64
				for _, i := range where {
					words = append(words, all[i])
				}
				ranks := midranks(words)
				for _, c := range nouns.Categories {
					var r []float64
					sum := 0.0
					for i := range words {
						if category[i] == c {
							r = append(r, ranks[i])
							sum += words[i]
						}
					}
					got[key{pair, name, score, c}] = value{float64(len(r)), median(r), sum / float64(len(r))}
				}
			}
		}
	}
	for _, w := range expected(t, "implicit_big2_medians.csv") {
		k := key{w["pair"], w["prompt"], w["score"], w["Category"]}
		g, ok := got[k]
		if !ok {
			t.Fatalf("no %v", k)
		}
		what := strings.Join([]string{k.pair, k.prompt, k.score, k.category}, " ")
		near(t, what+" n", g.n, w.float(t, "n_words"), 0)
		near(t, what+" median", g.median, w.float(t, "median_rank"), 0)
		near(t, what+" mean", g.mean, w.float(t, "mean_score"), 1e-12)
	}
}

// TestFig3 reproduces fig3_*: MWLR of each Llama and each Gemma, averaged over the
// forms of two words that all ten models have.
func TestFig3(t *testing.T) {
	tables := map[string]*logprob.Table{}
	common := map[string]int{} // token -> number of tables after the first that share it with the first
	variants := expected(t, "fig3_variants_logprobs.csv")
	var first *logprob.Table
	for model := range variants[0] {
		if model == "token_decoded" {
			continue
		}
		tables[model] = readTable(t, model)
		if first == nil {
			first = tables[model]
			continue
		}
		j, _ := join(t, first, tables[model])
		for _, tok := range j.Tokens {
			common[tok.Text]++
		}
	}
	if len(tables) != 10 {
		t.Fatalf("%d models, want 10", len(tables))
	}
	forms := map[string][]string{}
	n := 0
	for text, shared := range common {
		if shared < 9 {
			continue
		}
		n++
		word := strings.ToLower(strings.TrimSpace(text))
		forms[word] = append(forms[word], text)
	}
	if len(forms["love"])+len(forms["freedom"]) != len(variants) {
		t.Errorf("forms %q and %q, want %d in all", forms["love"], forms["freedom"], len(variants))
	}
	for _, w := range expected(t, "fig3_lollipop.csv") {
		near(t, "n_common_tokens", float64(n), w.float(t, "n_common_tokens"), 0)
		j, at := join(t, tables[w["llama_model"]], tables[w["gemma_model"]])
		k := slices.Index(j.Prompts, prompt)
		mwlr := j.MWLR(k)
		for word, column := range map[string]string{"love": "love_mwlr", "freedom": "freedom_mwlr"} {
			sum := 0.0
			for _, form := range forms[word] {
				sum += mwlr[at[form]]
			}
			near(t, w["llama_label"]+" "+w["gemma_label"]+" "+word, sum/float64(len(forms[word])), w.float(t, column), 1e-12)
		}
		p, q := j.LogProb(k)
		for _, v := range variants {
			near(t, w["llama_model"], float64(p[at[v["token_decoded"]]]), v.float(t, w["llama_model"]), 1e-12)
			near(t, w["gemma_model"], float64(q[at[v["token_decoded"]]]), v.float(t, w["gemma_model"]), 1e-12)
		}
	}
}

// TestTable1 reproduces table1_*: the joined tokens by MWLR. The order among equal
// scores is free, so the scores are held place by place and each token's own.
func TestTable1(t *testing.T) {
	const llama = "meta-llama/Llama-3.2-3B-Instruct"
	p := readTable(t, llama)
	check := func(gemma string, want []record) {
		j, at := join(t, p, readTable(t, gemma))
		k := slices.Index(j.Prompts, prompt)
		mwlr := j.MWLR(k)
		lnP, lnQ := j.LogProb(k)
		sorted := slices.Sorted(slices.Values(mwlr))
		slices.Reverse(sorted)
		for _, w := range want {
			i, ok := at[w["token_decoded"]]
			if !ok {
				t.Fatalf("%s: no token %q", gemma, w["token_decoded"])
			}
			what := gemma + " " + strconv.Quote(w["token_decoded"])
			near(t, what, mwlr[i], w.float(t, "mwlr"), 1e-12)
			near(t, what+" llama", float64(lnP[i]), w.float(t, "logprob_llama"), 1e-12)
			near(t, what+" gemma", float64(lnQ[i]), w.float(t, "logprob_gemma"), 1e-12)
			near(t, what+" at its rank", sorted[int(w.float(t, "rank"))-1], w.float(t, "mwlr"), 1e-12)
			if n, ok := w["n_common"]; ok && n != strconv.Itoa(len(j.Tokens)) {
				t.Errorf("%s: %d tokens, want %s", gemma, len(j.Tokens), n)
			}
		}
	}
	full := expected(t, "table1_full_gemma-2-2b-it.csv")
	if len(full) != 1113 { // golden README
		t.Errorf("%d rows, want 1113", len(full))
	}
	check("google/gemma-2-2b-it", full)
	byModel := map[string][]record{}
	for _, w := range expected(t, "table1_top_bottom.csv") {
		byModel[w["gemma_model"]] = append(byModel[w["gemma_model"]], w)
	}
	for model, want := range byModel {
		if len(want) != 30 {
			t.Errorf("%s: %d rows, want 15 + 15", model, len(want))
		}
		check(model, want)
	}
}

// TestSynthCounts holds the counts that synth_counts.json asks to be asserted first.
func TestSynthCounts(t *testing.T) {
	type steps struct {
		N           int `json:"n_norm"`
		First, Last string
	}
	var want struct {
		Llama, Gemma, Qwen steps
		Words              map[string]int `json:"fig2_words"`
		Common             int            `json:"fig3_common_tokens"`
	}
	data, err := os.ReadFile(expectedDir + "synth_counts.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	nouns := corpus(t, "dict_big2_nouns.csv")

	// Figure 2: nouns whose lower-case string is a token of both models.
	j, at := join(t, readTable(t, "google/gemma-2-2b-it"), readTable(t, "meta-llama/Llama-3.2-3B-Instruct"))
	words := map[string]int{}
	for _, e := range nouns.Entries {
		if _, ok := at[e.Term]; ok {
			words["total"]++
			words[e.Categories[0]]++
		}
	}
	for k, n := range want.Words {
		if words[k] != n {
			t.Errorf("fig2_words %s: %d, want %d", k, words[k], n)
		}
	}
	if len(j.Tokens) != want.Common {
		t.Errorf("common tokens: %d, want %d", len(j.Tokens), want.Common)
	}

	// Figure 5: nouns that a token stands for when everything but printable ASCII is
	// deleted, spaces trimmed and case folded.
	for model, w := range map[string]steps{"llama": want.Llama, "gemma": want.Gemma, "qwen": want.Qwen} {
		tokens := map[string]bool{}
		for _, row := range rows(t, synth.Open(t, "data/reward_model_training/greatest_ever_one_across_checkpoints_"+model+".csv")) {
			ascii := strings.Map(func(r rune) rune {
				if r > '~' || r < ' ' && r != '\n' && r != '\t' && r != '\r' {
					return -1
				}
				return r
			}, row["token_decoded"])
			tokens[strings.ToLower(strings.TrimSpace(ascii))] = true
			if row[w.First] == "" || row[w.Last] == "" {
				t.Fatalf("%s: no score at %s or %s", model, w.First, w.Last)
			}
		}
		n := 0
		for _, e := range nouns.Entries {
			if tokens[e.Term] {
				n++
			}
		}
		if n != w.N {
			t.Errorf("%s: %d words, want %d", model, n, w.N)
		}
	}
}

// TestJoinKeepsNA holds that tokens such as "NA" are tokens unless the paper's way is
// asked for: 1,119 instead of 1,113.
func TestJoinKeepsNA(t *testing.T) {
	p, q := readTable(t, "google/gemma-2-2b-it"), readTable(t, "meta-llama/Llama-3.2-3B-Instruct")
	all, err := implicit.Join(p, q, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(all.Tokens) != 1113+6 { // "", "NA", "N/A", "None", "nan", "null"
		t.Errorf("%d tokens, want 1119", len(all.Tokens))
	}
	paper, _ := join(t, p, q)
	// 13 rows of each repeat "\t", "\n" and U+FFFD, as counted with pandas.
	want := implicit.Coverage{Shared: 1113, P: 1503, Q: 1500, RepeatedP: 13, RepeatedQ: 13, OnlyP: 371, OnlyQ: 368, DroppedP: 6, DroppedQ: 6}
	if paper.Coverage != want {
		t.Errorf("coverage %+v, want %+v", paper.Coverage, want)
	}
	for _, text := range []string{"\r\n", "\n", "\ufffd"} {
		if !slices.ContainsFunc(paper.Tokens, func(tok tokenize.Token) bool { return tok.Text == text }) {
			t.Errorf("no token %q", text)
		}
	}
}

// TestPaperPrompts holds the built-in prompts to the fixture's prompts.yaml and,
// where it is at hand, the paper's own.
func TestPaperPrompts(t *testing.T) {
	got := lexicon.PaperPrompts()
	want, err := lexicon.ReadPrompts(synth.Open(t, "config/prompts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 54 || !reflect.DeepEqual(got, want) {
		t.Errorf("%d prompts, want the 54 of prompts.yaml: %q\n%q", len(got), got, want)
	}
	file, err := os.Open("../../shared/data/paper/config/prompts.yaml")
	if err != nil {
		t.Skip("needs ../shared: ", err)
	}
	defer file.Close()
	if want, err = lexicon.ReadPrompts(file); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("the paper's prompts differ: %q, %v", want, err)
	}
	// The columns of the log-probability files stand in the same order.
	tab := readTable(t, "google/gemma-2-2b")
	for i, p := range got {
		if tab.Prompts[i] != p.Name {
			t.Errorf("column %d is %s, want %s", i, tab.Prompts[i], p.Name)
		}
	}
}
