package main

import (
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/words"
)

// trained makes a folder of checkpoints, copies of folders under names.
func trained(t *testing.T, copies map[string]string) string {
	t.Helper()
	run := t.TempDir()
	for name, from := range copies {
		if err := os.CopyFS(filepath.Join(run, name), os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	return run
}

// negate changes the sign of a reward model's head, and so of its rewards.
func negate(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "model.safetensors")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(b)
	var header map[string]struct {
		Offsets []int `json:"data_offsets"`
	}
	if err := json.Unmarshal(b[8:8+n], &header); err != nil || len(header["score.weight"].Offsets) != 2 {
		t.Fatal(err, header)
	}
	data, at := b[8+n:], header["score.weight"].Offsets
	for i := at[0] + 1; i < at[1]; i += 2 { // float16
		data[i] ^= 0x80
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func table(t *testing.T, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

const onePrompt = `{"best": "What is the best thing?"}`

// TestSeriesRM: the series of a training run has for each checkpoint what a run of its own
// gives, in order of the steps.
func TestSeriesRM(t *testing.T) {
	rm := rewardModel(t, "llama")
	run := trained(t, map[string]string{"step-5": rm, "checkpoint-10": rm})
	negate(t, filepath.Join(run, "checkpoint-10"))
	corpus := write(t, "words.csv", "DicTerm,a,b\npower,X,\nlove,,X\nlov*,X,\nrain,,X\n")
	prompts := write(t, "p.json", onePrompt)
	out := filepath.Join(t.TempDir(), "series.csv")
	late, early := filepath.Join(run, "checkpoint-10"), filepath.Join(run, "step-5")
	_, stderr, code := call(t, "", "-rm", late, "-rm", early, "-corpus", corpus, "-prompts", prompts, "-forms", "{lower}, {title}", "-format", "series", "-out", out)
	const said = "series.csv: 6 rows: 2 checkpoints after the prompt best\nentries refused: 1\n  \"lov*\": a wildcard"
	if code != 0 || !strings.Contains(stderr, said) {
		t.Fatalf("exit code %d, %s, wanted %s", code, stderr, said)
	}
	rows := table(t, out)
	if !slices.Equal(rows[0], []string{"token_decoded", "step-5", "step-10"}) || len(rows) != 7 || rows[1][0] != "power" || rows[2][0] != " Power" {
		t.Fatalf("%v", rows)
	}
	for column, model := range []string{early, late} {
		alone := filepath.Join(t.TempDir(), "r.csv")
		if _, stderr, code := call(t, "", "-rm", model, "-corpus", corpus, "-prompts", prompts, "-forms", "{lower}, {title}", "-out", alone); code != 0 {
			t.Fatal(stderr)
		}
		records, _ := scores(t, alone)
		for i, r := range records {
			if x, err := strconv.ParseFloat(rows[i+1][column+1], 64); err != nil || x != r.Reward || rows[i+1][0] != r.Form {
				t.Errorf("%v, wanted %v", rows[i+1], r)
			}
		}
	}
	if a, b := rows[1][1], rows[1][2]; "-"+a != b || a == "0" {
		t.Errorf("rewards %s and %s, wanted the negative", a, b)
	}
	var meta words.SeriesProvenance
	if b, err := os.ReadFile(out + ".meta.json"); err != nil || json.Unmarshal(b, &meta) != nil || len(meta.RM) != 2 || meta.RM[0].Model != late || meta.RM[0].WeightsHash == meta.RM[1].WeightsHash || !slices.Equal(meta.Steps, []int{10, 5}) || meta.Measure != "exact" || meta.Prompt.Name != "best" || meta.Base != nil {
		t.Errorf("%v, %+v", err, meta)
	}
	if b, err := os.ReadFile(strings.TrimSuffix(out, ".csv") + ".coverage.csv"); err != nil || strings.Count(string(b), "\n") != 5 || !strings.Contains(string(b), "power,,a,scored,,1,2,0,0\n") {
		t.Errorf("%v, %s", err, b)
	}
}

// TestSeries: the implicit rewards of checkpoints over one base model are those of each pair; a
// checkpoint may be the base model itself.
func TestSeries(t *testing.T) {
	tuned, base := pair(t, "llama")
	run := trained(t, map[string]string{"step-0": base, "step-30": tuned})
	corpus := write(t, "words.txt", "power\nlove\nrain\n")
	prompts := write(t, "p.json", onePrompt)
	for _, measure := range []string{"pooled", "exact", "paper"} {
		out := filepath.Join(t.TempDir(), "series.csv")
		args := []string{"-base", base, "-base-as", "raw", "-tuned-as", "raw", "-corpus", corpus, "-prompts", prompts, "-forms", " {}", "-measure", measure, "-beta", "0.5"}
		_, stderr, code := call(t, "", append(args, "-tuned", filepath.Join(run, "step-0"), "-tuned", filepath.Join(run, "step-30"), "-format", "series", "-out", out)...)
		if code != 0 {
			t.Fatal(stderr)
		}
		rows := table(t, out)
		alone := filepath.Join(t.TempDir(), "r.csv")
		if _, stderr, code := call(t, "", append(args, "-tuned", tuned, "-out", alone)...); code != 0 {
			t.Fatal(stderr)
		}
		for i, r := range rewards(t, alone) {
			row := rows[i+1]
			want, text := r.Reward, r.Word
			switch measure {
			case "exact":
				text = r.Form
			case "paper":
				want = r.MWLR
			}
			if x, err := strconv.ParseFloat(row[2], 64); err != nil || x != want || row[1] != "0" || row[0] != text {
				t.Errorf("%s: %v, wanted 0 and %v of %q", measure, row, want, text)
			}
		}
		if len(rows) != 4 {
			t.Errorf("%d rows", len(rows))
		}
	}
}

// TestWrongSeries: what is no series is refused.
func TestWrongSeries(t *testing.T) {
	const usage = "score -h lists the flags\n"
	rm := rewardModel(t, "llama")
	corpus, prompts := write(t, "words.txt", "power\n"), write(t, "p.json", onePrompt)
	for _, test := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"-rm", "a", "-rm", "b"}, "score: -rm stands 2 times, wanted it once, or -format series for the checkpoints of a training run\n" + usage, 2},
		{[]string{"-tuned", "a", "-tuned", "b", "-base", "c"}, "score: -tuned stands 2 times, wanted it once, or -format series for the checkpoints of a training run\n" + usage, 2},
		{[]string{"-rm", "run/final", "-format", "series"}, "score: -rm run/final, wanted a name that ends in step-N or checkpoint-N, the step of training\n" + usage, 2},
		{[]string{"-rm", "step-1", "-rm", "checkpoint-01/", "-format", "series"}, "score: -rm: step-1 and checkpoint-01/ are both of step 1, wanted each step once\n" + usage, 2},
		{[]string{"-rm", "step-1", "-format", "series", "-measure", "best,mean"}, "score: -format series with 2 measures, wanted one: the file has one number a text and checkpoint\n" + usage, 2},
		{[]string{"-tuned", "step-1", "-base", "b", "-format", "series", "-vary", "forms"}, "score: -vary with -format series, wanted it with one -tuned model\n" + usage, 2},
		{[]string{"-rm", "step-1", "-format", "series", "-prompts", "paper"}, "score: -format series with 54 prompts, wanted one: the file has one number a text and checkpoint\n" + usage, 2},
		{[]string{"-rm", "step-1", "-format", "series", "-out", "r.parquet"}, "score: output \"r.parquet\", wanted a name that ends in .csv\n" + usage, 2},
		{[]string{"-rm", "./no/step-1", "-format", "series"}, "score: checkpoint: \"./no/step-1\": no such folder\n", 1},
	} {
		out := filepath.Join(t.TempDir(), "r.csv")
		stdout, stderr, code := call(t, "", append([]string{"-corpus", corpus, "-prompts", prompts, "-out", out}, test.args...)...)
		if code != test.code || stderr != test.want || stdout != "" {
			t.Errorf("%v: exit code %d, %q, wanted %q", test.args, code, stderr, test.want)
		}
		if left, _ := filepath.Glob(filepath.Dir(out) + "/*"); len(left) > 0 {
			t.Errorf("%v: left %v", test.args, left)
		}
	}
	// One that reads a text otherwise has other texts.
	run := trained(t, map[string]string{"step-1": rm, "step-2": rm})
	edit(t, filepath.Join(run, "step-2"), "config.json", `{"max_position_embeddings": 28}`)
	out := filepath.Join(t.TempDir(), "r.csv")
	_, stderr, code := call(t, "", "-corpus", write(t, "w.txt", "power\n"+strings.Repeat("power ", 20)+"\n"), "-prompts", prompts, "-out", out, "-rm", filepath.Join(run, "step-1"), "-rm", filepath.Join(run, "step-2"), "-format", "series")
	if code != 1 || !strings.Contains(stderr, "score: words: series: step 2 has 1 texts, step 1 2 or others, wanted the same texts: have the checkpoints one tokenizer and template?\n") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

// lora writes an adapter as peft does: on one projection of the demo's second block, from a
// seed; for a reward model (a classifier) with a head of its own.
func lora(t *testing.T, dir string, seed uint64, classifier bool) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 7))
	config := `{"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 2, "lora_alpha": 4, "target_modules": ["o_proj"], "layers_to_transform": [1]}`
	shapes := map[string][]int{
		"base_model.model.model.layers.1.self_attn.o_proj.lora_A.weight": {2, 64},
		"base_model.model.model.layers.1.self_attn.o_proj.lora_B.weight": {64, 2},
	}
	if classifier {
		config = strings.NewReplacer("CAUSAL_LM", "SEQ_CLS", `"r": 2`, `"modules_to_save": ["classifier", "score"], "r": 2`).Replace(config)
		shapes["base_model.model.score.weight"] = []int{1, 64}
	}
	header, data := map[string]any{}, []byte{}
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		from := len(data)
		for range shapes[name][0] * shapes[name][1] {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(random.NormFloat64()/8)))
		}
		header[name] = map[string]any{"dtype": "F32", "shape": shapes[name], "data_offsets": []int{from, len(data)}}
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	file := append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), data...)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"adapter_config.json": config, "adapter_model.safetensors": string(file)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSeriesAdapters: a series of adapters on one base model has for each what a run of its own
// gives, to the last digit.
func TestSeriesAdapters(t *testing.T) {
	tuned, base := pair(t, "llama")
	corpus := write(t, "words.txt", "power\nlove\nrain\n")
	prompts := write(t, "p.json", onePrompt)
	for _, test := range []struct {
		flag string
		on   string   // the base model
		args []string // further ones
	}{
		{"-rm", rewardModel(t, "llama"), nil},
		{"-tuned", tuned, []string{"-base", tuned, "-base-as", "chat", "-measure", "exact", "-forms", "{lower}"}},
		{"-tuned", base, []string{"-base", base, "-tuned-as", "raw", "-measure", "exact", "-forms", " {}"}},
	} {
		run := t.TempDir()
		var models []string
		for i, name := range []string{"step-1", "checkpoint-20", "step-3"} {
			lora(t, filepath.Join(run, name), uint64(i), test.flag == "-rm")
			models = append(models, test.on+"+"+filepath.Join(run, name))
		}
		out := filepath.Join(t.TempDir(), "series.csv")
		args := append([]string{"-corpus", corpus, "-prompts", prompts}, test.args...)
		all := append(slices.Clone(args), "-format", "series", "-out", out)
		for _, m := range models {
			all = append(all, test.flag, m)
		}
		if _, stderr, code := call(t, "", all...); code != 0 {
			t.Fatal(stderr)
		}
		rows := table(t, out)
		if !slices.Equal(rows[0], []string{"token_decoded", "step-1", "step-3", "step-20"}) || len(rows) != 4 {
			t.Fatalf("%v", rows)
		}
		for i, column := range []int{1, 3, 2} {
			alone := filepath.Join(t.TempDir(), "r.csv")
			if _, stderr, code := call(t, "", append(slices.Clone(args), test.flag, models[i], "-out", alone)...); code != 0 {
				t.Fatal(stderr)
			}
			var want []float64
			if test.flag == "-rm" {
				records, _ := scores(t, alone)
				for _, r := range records {
					want = append(want, r.Reward)
				}
			} else {
				for _, r := range rewards(t, alone) {
					want = append(want, r.Reward)
				}
			}
			for j, x := range want {
				if got, err := strconv.ParseFloat(rows[j+1][column], 64); err != nil || got != x || x == 0 {
					t.Errorf("%s: %s has %v, wanted %v", models[i], rows[j+1][0], got, x)
				}
			}
		}
		if rows[1][1] == rows[1][2] || rows[1][2] == rows[1][3] {
			t.Errorf("%v: the adapters make no difference", rows[1])
		}
	}
}
