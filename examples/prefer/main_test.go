package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/demo"
	"github.com/implicitreward/implicitreward/tokenize"
)

var update = flag.Bool("update", false, "write testdata/*.golden")

// call runs the program on the pure-Go backend and returns what it prints and its exit
// code.
func call(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	var out, errs bytes.Buffer
	err := run(t.Context(), strings.NewReader(stdin), &out, &errs, append([]string{"-backend", "go"}, args...))
	code = cli.Report("prefer", err, &errs)
	return out.String(), errs.String(), code
}

// models writes the demo's pair of that name to a temporary folder.
func models(t *testing.T, name string) (tuned, base string) {
	t.Helper()
	base, tuned, err := demo.Pair{Name: name}.Extract(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return tuned, base
}

// rewardModel writes the demo's reward model of that name to a temporary folder.
func rewardModel(t *testing.T, name string) string {
	t.Helper()
	rm, err := demo.Pair{Name: name}.ExtractRM(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return rm
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// mixed are pairs in all forms, with one of each kind that is refused.
func mixed() string {
	return `{"id": "a1", "subset": "agency", "prompt": "What is the best thing?", "chosen": " power", "rejected": " rain"}
{"id": "a2", "subset": "agency", "prompt": "What is the best thing?", "chosen": " tenderness and rain", "rejected": " power"}
{"id": 3, "subset": "agency", "prompt": [{"role": "user", "content": "What is the best thing?"}], "chosen": [{"role": "assistant", "content": " freedom"}], "rejected": " freedom"}

{"subset": "turns", "chosen": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "What?"}, {"role": "assistant", "content": "power"}], "rejected": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "What?"}, {"role": "assistant", "content": "love and rain"}]}
{"subset": "turns", "prompt": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "What?"}], "chosen": "love", "rejected": "rain", "extra": {"nothing": [1]}}
{"subset": "turns", "prompt": "What?", "chosen": [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "love"}], "rejected": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "rain"}]}
{"subset": null, "prompt": "x", "chosen": "", "rejected": "rain"}
{"subset": "long", "prompt": "` + strings.Repeat("power and ", 400) + `", "chosen": "love", "rejected": "rain"}
{"subset": "agency", "prompt": "What is the best thing?", "chosen": null, "rejected": "rain"}
{"subset": "turns", "prompt": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}], "chosen": "love", "rejected": "rain"}
{"subset": "turns", "prompt": [{"role": "tool", "content": "x"}], "chosen": "love", "rejected": "rain"}
`
}

var long = regexp.MustCompile(`-?\d+\.\d{4,}`)

// TestGolden holds all that the program writes to testdata. Numbers are compared to 3
// decimals, which all backends agree on.
func TestGolden(t *testing.T) {
	tuned, base := models(t, "llama")
	rm := rewardModel(t, "llama")
	dir := t.TempDir()
	var got strings.Builder
	for _, test := range []struct {
		name string
		args []string
	}{
		{"pair", []string{"-tuned", tuned, "-base", base, "-out", filepath.Join(dir, "pair.csv")}},
		{"alone", []string{"-tuned", tuned, "-out", filepath.Join(dir, "alone.jsonl"), "-json"}},
		{"rm", []string{"-rm", rm, "-out", filepath.Join(dir, "rm.csv")}},
		{"both", []string{"-rm", rm, "-tuned", tuned, "-base", base, "-out", filepath.Join(dir, "both.jsonl")}},
	} {
		stdout, stderr, code := call(t, mixed(), append([]string{"-data", "-"}, test.args...)...)
		if code != 3 {
			t.Fatal(stderr)
		}
		file := test.args[slices.Index(test.args, "-out")+1]
		rows, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		made, err := os.ReadFile(file + ".meta.json")
		if err != nil {
			t.Fatal(err)
		}
		var m meta
		named := func(flag string) bool { return slices.Contains(test.args, flag) }
		err = json.Unmarshal(made, &m)
		if err != nil || len(m.Data) != 64 || (m.Tuned != nil) != named("-tuned") || (m.Base != nil) != named("-base") || (m.RM != nil) != named("-rm") {
			t.Errorf("meta %s, %v", made, err)
		}
		if m.Tuned != nil && (m.Tuned.Rendering != "chat" || m.Tuned.WeightsHash == "") {
			t.Errorf("meta of the tuned model %+v", m.Tuned)
		}
		if m.RM != nil && (m.RM.Rendering != "chat" || m.RM.Model != rm || m.RM.Pooling != "last" || m.RM.WeightsHash == "") {
			t.Errorf("meta of the reward model %+v", m.RM)
		}
		if test.name == "pair" && (m.Base.Rendering != "chat, by the tuned model's template" || m.Base.WeightsHash == m.Tuned.WeightsHash) {
			t.Errorf("meta of the base model %+v", m.Base)
		}
		if i := strings.Index(stdout, `"all": {`); i >= 0 { // the meta before it has hashes
			stdout = stdout[i:]
		}
		fmt.Fprintf(&got, "== %s\n%s\n%s\n%s\n", test.name, stdout, stderr, rows)
	}
	text := long.ReplaceAllStringFunc(strings.NewReplacer(dir+"/", "", rm, "RM").Replace(got.String()), func(s string) string {
		x, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		if s = strconv.FormatFloat(x, 'f', 3, 64); s == "-0.000" {
			s = "0.000"
		}
		return s
	})
	golden := filepath.Join("testdata", "prefer.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("got\n%s\nwanted\n%s", text, want)
	}
}

// margins reads a rows file: a map of columns a row.
func margins(t *testing.T, path string) []map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]string
	for _, r := range records[1:] {
		row := map[string]string{}
		for i, name := range records[0] {
			row[name] = r[i]
		}
		all = append(all, row)
	}
	return all
}

// run1 runs the program with -json and returns the report and the rows.
func run1(t *testing.T, data string, args ...string) (report, []map[string]string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "m.csv")
	stdout, stderr, code := call(t, data, append([]string{"-data", "-", "-json", "-out", out}, args...)...)
	if code != 0 && code != 3 {
		t.Fatal(stderr)
	}
	var r report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	return r, margins(t, out)
}

func float(t *testing.T, s string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestPlanted: the margins are what was planted (package demo) where both models read the
// same text, by the template or raw, and accuracy follows; where they do not, c(x) and what
// follows x are others.
func TestPlanted(t *testing.T) {
	for _, name := range []string{"llama", "gemma2"} {
		tuned, base := models(t, name)
		words := demo.Words()
		var data strings.Builder
		var want []float64
		wins := 0
		for i := range 12 {
			a, b := words[(5*i)%len(words)], words[(7*i+3)%len(words)]
			fmt.Fprintf(&data, "{\"prompt\": \"What is best?\", \"chosen\": %q, \"rejected\": %q}\n", " "+a.Text, " "+b.Text)
			want = append(want, a.Push[name]-b.Push[name])
			if want[i] > 0 {
				wins++
			}
		}
		for _, as := range [][]string{nil, {"-tuned-as", "raw"}, {"-base-as", "raw"}} {
			other, differ := len(as) > 0 && as[0] == "-base-as", false
			r, rows := run1(t, data.String(), append([]string{"-tuned", tuned, "-base", base}, as...)...)
			for i, row := range rows {
				if got := float(t, row["margin_reward"]); other {
					differ = differ || math.Abs(got-want[i]) > 0.1
				} else if math.Abs(got-want[i]) > 4e-5 {
					t.Errorf("%s %v: margin %v, planted was %v", name, as, got, want[i])
				}
				if got := float(t, row["chosen_tuned"]) - float(t, row["rejected_tuned"]); got != float(t, row["margin_tuned"]) {
					t.Errorf("margin of the tuned model alone %s, wanted %v", row["margin_tuned"], got)
				}
			}
			if differ != other {
				t.Errorf("%s %v: the base model reads the same text", name, as)
			}
			if a := r.All.Measures[0]; a.Measure != "reward" || !other && (a.Wins != wins && !slices.Contains(want, 0)) || r.All.Pairs != 12 {
				t.Errorf("%s %v: %+v, wanted %d wins", name, as, a, wins)
			}
		}
	}
}

// TestPlantedRM: the reward model's margins are what was planted, with and without the pair
// beside it, whose numbers do not change; and the accuracy follows.
func TestPlantedRM(t *testing.T) {
	for _, name := range []string{"llama", "gemma2"} {
		tuned, base := models(t, name)
		rm := rewardModel(t, name)
		words := demo.Words()
		var data strings.Builder
		var want []float64
		credit := 0.0
		for i := range 12 {
			a, b := words[(5*i)%len(words)], words[(7*i+3)%len(words)]
			fmt.Fprintf(&data, "{\"prompt\": \"What is best?\", \"chosen\": %q, \"rejected\": %q}\n", a.Text, b.Text)
			want = append(want, a.Reward(name)-b.Reward(name))
			switch {
			case want[i] > 0:
				credit++
			case want[i] == 0:
				credit += 0.5
			}
		}
		pair := []string{"-tuned", tuned, "-base", base}
		alone, rows := run1(t, data.String(), "-rm", rm)
		both, beside := run1(t, data.String(), append([]string{"-rm", rm}, pair...)...)
		implicitly, without := run1(t, data.String(), pair...)
		for i := range want {
			if got := float(t, rows[i]["margin_explicit_reward"]); math.Abs(got-want[i]) > 2e-5 {
				t.Errorf("%s: margin %v, planted was %v", name, got, want[i])
			}
			if got := float(t, rows[i]["chosen_explicit"]) - float(t, rows[i]["rejected_explicit"]); got != float(t, rows[i]["margin_explicit_reward"]) {
				t.Errorf("%s: margin %s, wanted %v", name, rows[i]["margin_explicit_reward"], got)
			}
			for column, x := range beside[i] {
				if y, ok := rows[i][column]; ok && x != y && column != "flags" {
					t.Errorf("%s: %s is %s beside a pair, %s alone", name, column, x, y)
				}
				if y, ok := without[i][column]; ok && x != y && column != "flags" {
					t.Errorf("%s: %s is %s beside a reward model, %s without", name, column, x, y)
				}
			}
		}
		if !slices.Equal(both.All.Measures[:6], implicitly.All.Measures) || !slices.Equal(both.All.Measures[6:], alone.All.Measures) || len(alone.All.Measures) != 1 {
			t.Errorf("%s: measures %+v of all models, %+v of the pair, %+v of the reward model", name, both.All.Measures, implicitly.All.Measures, alone.All.Measures)
		}
		if a := alone.All.Measures[0]; a.Measure != "explicit_reward" || !slices.Contains(want, 0) && float64(a.Accuracy) != credit/12 {
			t.Errorf("%s: %+v, wanted %v right of 12", name, a, credit)
		}
	}
}

// TestSwapped: with the replies exchanged the accuracy is 1 less it, its interval the
// mirrored one, and margins have the other sign.
func TestSwapped(t *testing.T) {
	tuned, base := models(t, "llama")
	swap := strings.NewReplacer(`"chosen"`, `"rejected"`, `"rejected"`, `"chosen"`)
	a, rows := run1(t, mixed(), "-tuned", tuned, "-base", base)
	b, swapped := run1(t, swap.Replace(mixed()), "-tuned", tuned, "-base", base)
	if len(a.Subsets) != len(b.Subsets) || len(a.Subsets) != 4 || a.All.Pairs != 5 || a.All.Refused != 6 {
		t.Fatalf("%+v\n%+v", a, b)
	}
	for i, s := range append(a.Subsets, a.All) {
		for k, x := range s.Measures {
			y := append(b.Subsets, b.All)[i].Measures[k]
			if s.Pairs > 0 && (math.Abs(float64(x.Accuracy+y.Accuracy-1)) > 1e-15 || math.Abs(float64(x.Lower+y.Upper-1)) > 1e-12 || x.Ties != y.Ties || x.MeanMargin != -y.MeanMargin) {
				t.Errorf("%s, %s: %+v and %+v", s.Subset, x.Measure, x, y)
			}
		}
	}
	for i, row := range rows {
		if row["refused"] == "" && float(t, row["margin_reward_per_byte"]) != -float(t, swapped[i]["margin_reward_per_byte"]) {
			t.Errorf("%v and %v", row, swapped[i])
		}
	}
}

// TestSelf: a model against itself prefers nothing.
func TestSelf(t *testing.T) {
	tuned, _ := models(t, "gemma2")
	data := `{"prompt": "What?", "chosen": "love", "rejected": "power and rain"}
{"prompt": "Why?", "chosen": "because", "rejected": "no"}
`
	r, _ := run1(t, data, "-tuned", tuned, "-base", tuned)
	for _, a := range r.All.Measures {
		if reward := strings.HasPrefix(a.Measure, "reward"); reward != (a.Ties == 2) || reward && (a.Accuracy != 0.5 || a.MeanMargin != 0 || a.Wins != 0) {
			t.Errorf("%+v", a)
		}
	}
	alone, _ := run1(t, data, "-tuned", tuned)
	if len(alone.All.Measures) != 3 || len(r.All.Measures) != 6 || !slices.Equal(alone.All.Measures, r.All.Measures[3:]) {
		t.Errorf("%+v without a reference, %+v with one", alone.All.Measures, r.All.Measures)
	}
}

// TestTexts: what the models read is the conversation, rendered once, and the reply from
// its first byte to its last, and nothing else.
func TestTexts(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	for name, want := range map[string]string{
		"llama": "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nHi<|eot_id|>" +
			"<|start_header_id|>user<|end_header_id|>\n\nWhat?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
		"gemma2": "<bos><start_of_turn>user\nHello<end_of_turn>\n<start_of_turn>model\nHi<end_of_turn>\n<start_of_turn>user\nWhat?<end_of_turn>\n<start_of_turn>model\n",
	} {
		tuned, base := models(t, name)
		f := cli.PairFlags{Tuned: tuned, Base: base, TunedAs: "chat", BaseAs: "same", Same: true, ModelFlags: cli.ModelFlags{DType: "auto", Backend: "go"}}
		loader, models, err := f.Open(t.Context(), "-", t.Output())
		if err != nil {
			t.Fatal(err)
		}
		defer loader.Close()
		pair := models.Policies()
		messages := []tokenize.Message{{Role: "user", Content: "Hello"}, {Role: "assistant", Content: "Hi"}, {Role: "user", Content: "What?"}}
		for _, reply := range []string{"love", " power and rain \n", "é"} {
			x, err := pair.Tuned.Encode(implicit.Item{Messages: messages, Reply: reply})
			if err != nil {
				t.Fatal(err)
			}
			y, err := pair.Base.Encode(implicit.Item{Messages: messages, Reply: reply})
			if err != nil {
				t.Fatal(err)
			}
			if x.Rendered != want+reply || x.Start != len(want) || x.Straddle || x.Rendered != y.Rendered || !slices.Equal(x.IDs, y.IDs) || x.Reply != y.Reply {
				t.Errorf("%s: %q and %q, wanted %q", name, x.Rendered, y.Rendered, want+reply)
			}
			if x.IDs[1] == x.IDs[0] || x.Spans[x.Reply][0] != x.Start {
				t.Errorf("%s: tokens %v, the reply from %d", name, x.IDs, x.Reply)
			}
		}
	}
}

// message and nested are rows of a Parquet file, with columns in another order and
// further ones, as data sets have them.
type message struct {
	Content string `parquet:"content"`
	Role    string `parquet:"role"`
}

type nested struct {
	Source   string    `parquet:"source"`
	Rejected []message `parquet:"rejected,list,optional"`
	Chosen   []message `parquet:"chosen,list,optional"`
	Subset   *string   `parquet:"subset,optional"`
	ID       int64     `parquet:"id"`
}

// TestParquet: the same pairs as Parquet, of texts or of messages, give the same report.
func TestParquet(t *testing.T) {
	tuned, base := models(t, "llama")
	subset := "turns"
	side := func(reply string) []message { return []message{{"What?", "user"}, {reply, "assistant"}} }
	rows := []nested{{"x", side("rain"), side("power"), &subset, 7}, {"y", side("love"), side("freedom"), nil, 8}, {"z", side("love"), nil, nil, 9}}
	type flat struct {
		ID       int64   `parquet:"id"`
		Prompt   string  `parquet:"prompt"`
		Chosen   *string `parquet:"chosen,optional"`
		Rejected string  `parquet:"rejected"`
		Subset   *string `parquet:"subset,optional"`
	}
	power, freedom := "power", "freedom"
	texts := []flat{{7, "What?", &power, "rain", &subset}, {8, "What?", &freedom, "love", nil}, {9, "What?", nil, "love", nil}}
	lines := `{"id": 7, "prompt": "What?", "chosen": "power", "rejected": "rain", "subset": "turns"}
{"id": 8, "prompt": "What?", "chosen": "freedom", "rejected": "love"}
{"id": 9, "prompt": "What?", "chosen": null, "rejected": "love"}
`
	dir := t.TempDir()
	messages, plain := filepath.Join(dir, "nested.parquet"), filepath.Join(dir, "plain.parquet")
	if err := parquet.WriteFile(messages, rows); err != nil {
		t.Fatal(err)
	}
	if err := parquet.WriteFile(plain, texts); err != nil {
		t.Fatal(err)
	}
	var want string
	for _, path := range []string{write(t, "pairs.jsonl", lines), plain, messages} {
		stdout, stderr, code := call(t, "", "-tuned", tuned, "-base", base, "-data", path, "-out", filepath.Join(dir, "m.csv"))
		if code != 3 {
			t.Fatal(stderr)
		}
		b, err := os.ReadFile(filepath.Join(dir, "m.csv"))
		if err != nil {
			t.Fatal(err)
		}
		got := strings.ReplaceAll(strings.ReplaceAll(stdout+stderr+string(b), path, "pairs"), "members that are not read: source\n", "")
		if want == "" {
			want = got
			if !strings.Contains(got, "2 pairs scored, 1 refused") || !strings.Contains(got, "\n1,7,turns,") {
				t.Fatal(got)
			}
		}
		// A list of messages cannot be null and empty at once: pandas and parquet-go differ.
		if got = strings.ReplaceAll(got, "chosen: the last of 0 messages is not of the assistant", "chosen: null, wanted a reply"); got != want {
			t.Errorf("%s: %s, wanted %s", path, got, want)
		}
	}
}
