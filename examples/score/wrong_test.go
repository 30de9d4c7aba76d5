package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// edit changes a model's folder: keys of config.json and tokenizer_config.json (null
// deletes), or a file as a whole.
func edit(t *testing.T, dir, file, changes string) {
	t.Helper()
	path := filepath.Join(dir, file)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var keys, over map[string]any
	if err := json.Unmarshal(b, &keys); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(changes), &over); err != nil {
		t.Fatal(err)
	}
	for k, v := range over {
		if keys[k] = v; v == nil {
			delete(keys, k)
		}
	}
	if b, err = json.Marshal(keys); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestWrong gives the program what people give by mistake: one line that names the
// thing, exit code 2 for wrong use, 1 otherwise, and no output file.
func TestWrong(t *testing.T) {
	const (
		words = "category,word\nagency,power\n"
		usage = "score -h lists the flags\n"
	)
	for _, test := range []struct {
		name  string
		setup func(t *testing.T, tuned string) []string // further arguments, the later ones win
		want  string                                    // DIR is the tuned model's folder, TMP its parent
		code  int
	}{
		{"unknown flag", func(*testing.T, string) []string { return []string{"-modle", "x"} },
			"score: flag provided but not defined: -modle\n" + usage, 2},
		{"argument", func(*testing.T, string) []string { return []string{"words.csv"} },
			"score: argument \"words.csv\", wanted flags only\n" + usage, 2},
		{"rendering", func(*testing.T, string) []string { return []string{"-tuned-as", "chatty"} },
			"score: -tuned-as \"chatty\", wanted raw or chat\n" + usage, 2},
		{"dtype", func(*testing.T, string) []string { return []string{"-dtype", "fp8"} },
			"score: -dtype \"fp8\", wanted auto, f32 or bf16\n" + usage, 2},
		{"backend", func(*testing.T, string) []string { return []string{"-backend", "cuda"} },
			"score: -backend \"cuda\", wanted auto, xla:cpu, xla:cuda or go\n" + usage, 2},
		{"date", func(*testing.T, string) []string { return []string{"-date", "26 Jul 2024"} },
			"score: -date \"26 Jul 2024\", wanted a date such as 2024-07-26\n" + usage, 2},
		{"beta", func(*testing.T, string) []string { return []string{"-beta", "0"} },
			"score: -beta 0, wanted a number above 0\n" + usage, 2},
		{"infinite beta", func(*testing.T, string) []string { return []string{"-beta", "Inf"} },
			"score: -beta +Inf, wanted a number above 0\n" + usage, 2},
		{"output is the corpus", func(t *testing.T, _ string) []string {
			path := write(t, "w.csv", words)
			return []string{"-corpus", path, "-out", path}
		}, " would replace the input ", 2},
		{"output of somebody else", func(t *testing.T, _ string) []string {
			return []string{"-out", write(t, "precious.csv", "my data\n")}
		}, "precious.csv: there already, and not made by this program, or changed since: -force replaces it\n", 1},
		{"form", func(*testing.T, string) []string { return []string{"-forms", "{lower},word"} },
			"score: -forms: lexicon: form \"word\", wanted one of {}, {lower}, {title}, {upper} in it, where the word goes\n" + usage, 2},
		{"form twice", func(*testing.T, string) []string { return []string{"-forms", "{},{}"} },
			"score: -forms: lexicon: form \"{}\" stands twice, wanted each once\n" + usage, 2},
		{"measure", func(*testing.T, string) []string { return []string{"-measure", "exact,mean"} },
			"score: -measure: words: measure \"mean\", wanted exact, pooled, ended or paper\n" + usage, 2},
		{"no measure", func(*testing.T, string) []string { return []string{"-measure", ""} },
			"score: -measure: words: measure \"\", wanted exact, pooled, ended or paper\n" + usage, 2},
		{"forms of pairs", func(*testing.T, string) []string {
			return []string{"-corpus", "", "-pairs", "p.jsonl", "-out", "o.jsonl", "-forms", "all"}
		}, "score: -forms with -pairs, wanted it with -corpus alone\n" + usage, 2},
		{"missing word list", func(*testing.T, string) []string { return []string{"-wordlist", "no.txt"} },
			"score: word list: open no.txt: no such file or directory\n", 1},
		{"empty word list", func(t *testing.T, _ string) []string { return []string{"-wordlist", write(t, "l.txt", "\n")} },
			"lexicon: word list: empty, wanted one word a line\n", 1},
		{"coverage is the word list", func(t *testing.T, _ string) []string {
			dir := t.TempDir()
			list := filepath.Join(dir, "r.coverage.csv")
			if err := os.WriteFile(list, []byte("free\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			return []string{"-wordlist", list, "-out", filepath.Join(dir, "r.parquet")}
		}, "r.coverage.csv would replace the input ", 2},
		{"no model", func(*testing.T, string) []string { return []string{"-tuned", ""} },
			"score: flag -tuned is missing: tuned `model`: a folder, or org/name[@revision] on the hub, or BASE+ADAPTER, each so, with a LoRA adapter\n" + usage, 2},
		{"both inputs", func(*testing.T, string) []string { return []string{"-pairs", "p.jsonl"} },
			"score: wanted -corpus or -pairs, one of them\n" + usage, 2},
		{"output ending", func(*testing.T, string) []string { return []string{"-out", "r.xlsx"} },
			"score: output \"r.xlsx\", wanted a name that ends in .csv or .parquet\n" + usage, 2},
		{"output folder", func(*testing.T, string) []string { return []string{"-out", "no/such/r.csv"} },
			"score: output no/such/r.csv: there is no folder no/such\n", 1},
		{"missing corpus", func(*testing.T, string) []string { return []string{"-corpus", "no.csv"} },
			"score: corpus: open no.csv: no such file or directory\n", 1},
		{"empty corpus", func(t *testing.T, _ string) []string { return []string{"-corpus", write(t, "w.csv", "")} },
			"lexicon: corpus: empty, wanted at least one word\n", 1},
		{"missing prompts", func(*testing.T, string) []string { return []string{"-prompts", "no.json"} },
			"score: prompts: open no.json: no such file or directory (or paper, for the 54 built-in ones)\n", 1},
		{"missing model", func(*testing.T, string) []string { return []string{"-tuned", "./no-model"} },
			"score: checkpoint: \"./no-model\": no such folder\n", 1},
		{"missing weights", func(t *testing.T, dir string) []string {
			if err := os.Remove(filepath.Join(dir, "model.safetensors")); err != nil {
				t.Fatal(err)
			}
			return nil
		}, "score: logprob: DIR: checkpoint: DIR: ", 1},
		{"truncated weights", func(t *testing.T, dir string) []string {
			if err := os.Truncate(filepath.Join(dir, "model.safetensors"), 20_000); err != nil {
				t.Fatal(err)
			}
			return nil
		}, "score: logprob: DIR: checkpoint: DIR/model.safetensors: ", 1},
		{"foreign config key", func(t *testing.T, dir string) []string {
			edit(t, dir, "config.json", `{"sliding_window": 128, "foreign": true}`)
			return nil
		}, "score: logprob: DIR: arch: llama: config.json: not supported: foreign=true, sliding_window=128\n", 1},
		{"unknown family", func(t *testing.T, dir string) []string {
			edit(t, dir, "config.json", `{"model_type": "mamba"}`)
			return nil
		}, "score: logprob: DIR: arch: config.json: model_type \"mamba\", wanted one of ", 1},
		{"missing tensor", func(t *testing.T, dir string) []string {
			edit(t, dir, "config.json", `{"num_hidden_layers": 3}`)
			return nil
		}, "score: logprob: DIR: engine: llama: tensor model.layers.2.input_layernorm.weight is missing, wanted shape [64]\n", 1},
		{"extra tensor", func(t *testing.T, dir string) []string {
			edit(t, dir, "config.json", `{"num_hidden_layers": 1}`)
			return nil
		}, "score: logprob: DIR: engine: llama: tensor model.layers.1.input_layernorm.weight is not used by the model that config.json describes\n", 1},
		{"misshapen tensor", func(t *testing.T, dir string) []string {
			edit(t, dir, "config.json", `{"intermediate_size": 95}`)
			return nil
		}, "score: logprob: DIR: engine: llama: tensor model.layers.0.mlp.gate_proj.weight has shape [96 64], wanted [95 64] by config.json\n", 1},
		{"NaN weight", func(t *testing.T, dir string) []string {
			path := filepath.Join(dir, "model.safetensors")
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			copy(b[len(b)-2:], "\xff\x7f") // a float16 NaN, at the end of the last tensor
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
			return nil
		}, "score: logprob: DIR: checkpoint: DIR/model.safetensors: tensor \"model.norm.weight\": NaN at [63], wanted finite weights\n", 1},
		{"double BOS", func(t *testing.T, dir string) []string {
			edit(t, dir, "tokenizer_config.json", `{"chat_template": "{{ bos_token }}{{ bos_token }}{{ messages[0]['content'] }}"}`)
			return nil
		}, "2 BOS tokens", 1},
		{"no BOS", func(t *testing.T, dir string) []string {
			edit(t, dir, "tokenizer.json", `{"post_processor": null}`)
			edit(t, dir, "tokenizer_config.json", `{"add_bos_token": true, "tokenizer_class": "LlamaTokenizerFast"}`)
			return []string{"-tuned-as", "raw"}
		}, "choose with -bos add or -bos none", 1},
		{"empty prompt", func(t *testing.T, _ string) []string {
			return []string{"-prompts", write(t, "p.json", `{"none": ""}`)}
		}, "none", 1},
		{"vocabulary mismatch", func(t *testing.T, dir string) []string {
			edit(t, dir, "config.json", `{"vocab_size": 600}`)
			return nil
		}, "score: logprob: DIR: tokenizer.json has 622 tokens of its own, without the added ones, config.json a vocab_size of 600: they belong to different models\n", 1},
		{"no chat template", func(t *testing.T, dir string) []string {
			edit(t, dir, "tokenizer_config.json", `{"chat_template": null}`)
			return nil
		}, "chat template", 1},
		{"text beyond the context", func(t *testing.T, _ string) []string {
			return []string{"-corpus", write(t, "w.txt", strings.Repeat("power ", 600)+"\n")}
		}, "tokens, wanted at most 512", 1},
		{"wildcard", func(t *testing.T, _ string) []string {
			return []string{"-corpus", write(t, "w.dic", "%\n1\tagency\n%\nfree*\t1\n")}
		}, "\"free*\": a wildcard, wanted a word: expand it with a list of words", 1},
		{"wildcard without a match", func(t *testing.T, _ string) []string {
			return []string{"-corpus", write(t, "w.dic", "%\n1\tagency\n%\nfree*\t1\n"), "-wordlist", write(t, "l.txt", "unfree\nfre\n")}
		}, "\"free*\": a wildcard, which none of the 2 words of the list match", 1},
		{"empty word", func(t *testing.T, _ string) []string {
			return []string{"-corpus", write(t, "e.csv", "category,word\nagency,\n")}
		}, "entries refused: 1\n  \"\": empty, wanted text\n", 1},
		{"paper without a shared token", func(t *testing.T, _ string) []string {
			return []string{"-corpus", write(t, "p.txt", "a phrase of words\n"), "-measure", "paper"}
		}, "\"a phrase of words\": no form is one token in both models, wanted one for the measure paper", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			tuned, base := pair(t, "llama")
			out := filepath.Join(t.TempDir(), "r.csv")
			args := []string{"-base", base, "-corpus", write(t, "words.csv", words), "-out", out}
			further := test.setup(t, tuned)
			if !slices.Contains(further, "-tuned") { // which several models have
				args = append(args, "-tuned", tuned)
			}
			stdout, stderr, code := call(t, "", append(args, further...)...)
			want := strings.NewReplacer("DIR", tuned).Replace(test.want)
			exact := strings.HasPrefix(want, "score:") && strings.HasSuffix(want, "\n")
			if exact && stderr != want || !strings.Contains(stderr, want) {
				t.Errorf("stderr %q, wanted %q", stderr, want)
			}
			if code != test.code || stdout != "" {
				t.Errorf("exit code %d, stdout %q; wanted %d and nothing", code, stdout, test.code)
			}
			if b, err := os.ReadFile(out); err == nil {
				t.Errorf("an output file was left: %q", b)
			}
		})
	}
}

// TestWrongPairs: a bad line is refused by itself, with its number and reason; where all are
// refused, that is an error.
func TestWrongPairs(t *testing.T) {
	tuned, base := pair(t, "llama")
	for _, test := range []struct{ in, want string }{
		{"{\"prompt\": \"x\"}\n", "line 1: wanted both \"prompt\" and \"reply\", as strings"},
		{"\n{\"prompt\": \"x\", \"reply\": 1}\n", "line 2: wanted both \"prompt\" and \"reply\", as strings"},
		{"[1]\n", "line 1: byte 0: a list, wanted an object {\"prompt\": ..., \"reply\": ...}"},
		{"{\"Prompt\": \"x\", \"reply\": \"y\"}\n", "line 1: \"Prompt\", wanted \"prompt\" in small letters"},
		{"{\"prompt\": \"x\", \"reply\": \"y\", \"system\": \"z\"}\n", "line 1: \"system\" is not read, and the reply would be to another conversation, wanted prompt and reply (-system gives all lines one system text)"},
		{"{\"prompt\": \"x\", \"reply\": \"y\", \"System\": \"z\"}\n", "line 1: \"System\", wanted \"system\" in small letters"},
		{"{\"prompt\": \"x\", \"reply\": \"y\", \"prompt\": \"z\"}\n", "line 1: byte 30: key \"prompt\" comes twice, wanted once"},
		{"{\"prompt\": \"x\", \"reply\": \"y\", \"reward\": 1}\n", "line 1: \"reward\" is there already, wanted lines without the members that are added"},
		{"{\"prompt\": \"x\", \"reply\": \"\xff\"}\n", "line 1: byte 26: not UTF-8, wanted text"},
		{"{\"prompt\": \"x\", \"reply\": \"\\ud83d\"}\n", "line 1: byte 26: reply: half of a surrogate pair, wanted text"},
		{"nonsense\n", "line 1: byte 0: no JSON, wanted an object {\"prompt\": ..., \"reply\": ...}"},
	} {
		stdout, stderr, code := call(t, test.in, "-tuned", tuned, "-base", base, "-pairs", "-", "-out", "-")
		if want := "score: standard input: none of the 1 pairs could be scored; the first: " + test.want + "\n"; stderr != want || code != 1 || strings.Count(stdout, "\n") != 1 {
			t.Errorf("%q: exit code %d, stdout %q, stderr %q, wanted %q", test.in, code, stdout, stderr, want)
		}
		const good = "{\"prompt\": \"x\", \"reply\": \"love\"}\n"
		stdout, stderr, code = call(t, test.in+good, "-tuned", tuned, "-base", base, "-pairs", "-", "-out", "-")
		if want := "1 pairs scored, 1 refused (see \"error\" in their lines)\n  " + test.want + "\nscore: standard input: 1 of 2 pairs refused\n"; stderr != want || code != 3 {
			t.Errorf("%q: exit code %d, stderr %q, wanted %q", test.in, code, stderr, want)
		}
		refused, scored, _ := strings.Cut(stdout, "\n")
		number, reason, _ := strings.Cut(strings.TrimPrefix(test.want, "line "), ": ")
		var got struct {
			Line   *int
			Error  string
			Reward *float64
		}
		if err := json.Unmarshal([]byte(refused), &got); err != nil || got.Reward != nil || got.Error != reason || got.Line != nil && strconv.Itoa(*got.Line) != number {
			t.Errorf("%q: %s (%v), wanted the error %q", test.in, refused, err, reason)
		}
		if got.Line == nil && !strings.HasPrefix(refused, strings.TrimSuffix(strings.TrimSpace(test.in), "}")) {
			t.Errorf("%q: came back as %s", test.in, refused)
		}
		if want, _, _ := call(t, good, "-tuned", tuned, "-base", base, "-pairs", "-", "-out", "-"); scored != want {
			t.Errorf("%q: the good line has %s, wanted %s", test.in, scored, want)
		}
	}
	const empty = "score: standard input: empty, wanted lines {\"prompt\": ..., \"reply\": ...}\n"
	if _, stderr, code := call(t, "\n", "-tuned", tuned, "-base", base, "-pairs", "-", "-out", "-"); stderr != empty || code != 1 {
		t.Errorf("no line: exit code %d, stderr %q", code, stderr)
	}
}

// TestRefusedPairs: of a file of bad and good lines the good ones are scored, in their places;
// nothing is left to resume. Where all are refused there is no output, and none to resume.
func TestRefusedPairs(t *testing.T) {
	tuned, base := pair(t, "llama")
	in := write(t, "pairs.jsonl", strings.Join([]string{
		`{"id": 1, "prompt": "x", "reply": "love"}`,
		`{"id": 2, "prompt": "x", "reply": "\u0000"}`,
		`{"id": 3, "prompt": "x", "reply": ""}`,
		``,
		`{"id": 4, "prompt": "x", "reply": "` + strings.Repeat("power ", 600) + `"}`,
		`{"id": 5, "prompt": "x", "reply": "rain"`,
		`{"id": 6, "prompt": "x", "reply": "rain"}`,
	}, "\n"))
	for format, want := range map[string]struct{ lines, reason string }{
		"jsonl":   {"1 2 3 4 <nil> 6", "\n  line 6: "},
		"inspect": {"1 6", "\n  line 5 (id \"4\"): tuned model: "},
	} {
		out := filepath.Join(t.TempDir(), "r.jsonl")
		_, stderr, code := call(t, "", "-tuned", tuned, "-base", base, "-pairs", in, "-format", format, "-out", out)
		if code != 3 || !strings.HasPrefix(stderr, "2 pairs scored, 4 refused (") || strings.Count(stderr, "\n  line ") != 4 || !strings.Contains(stderr, want.reason) ||
			!strings.HasSuffix(stderr, "pairs.jsonl: 4 of 6 pairs refused\n") {
			t.Errorf("%s: exit code %d, %s", format, code, stderr)
		}
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for line := range strings.Lines(string(b)) {
			var got struct{ ID any }
			if err := json.Unmarshal([]byte(line), &got); err != nil {
				t.Error(err)
			}
			ids = append(ids, fmt.Sprint(got.ID))
		}
		if got := strings.Join(ids, " "); got != want.lines {
			t.Errorf("%s: lines of %s, wanted %s", format, got, want.lines)
		}
		if _, err := os.Stat(out + ".part"); err == nil {
			t.Errorf("%s: a partial result was left", format)
		}
	}
	out := filepath.Join(t.TempDir(), "r.jsonl")
	_, stderr, code := call(t, "", "-tuned", tuned, "-base", base, "-pairs", write(t, "p.jsonl", "a,b\n1,2\n"), "-out", out)
	if left, _ := filepath.Glob(filepath.Dir(out) + "/*"); code != 1 || len(left) > 0 {
		t.Errorf("no pairs: exit code %d, left %v, %s", code, left, stderr)
	}
}

// TestNumbers: every digit is there, for readers that know no float32.
func TestNumbers(t *testing.T) {
	for _, x := range []float64{float64(float32(-9.212637)), 0.1, float64(float32(0.1)), 1e-300, 0} {
		b, err := strictjson.Float64(x).MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := strconv.ParseFloat(string(b), 64); err != nil || got != x {
			t.Errorf("%v is written %s", x, b)
		}
	}
}
