package demo

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The means that the list's comments promise, and what its form needs.
func TestWords(t *testing.T) {
	means := map[string]map[string]float64{
		"llama":  {"agency": 1.5, "communion": -0.75, "weather": 0, "kitchen": 0},
		"gemma2": {"agency": -1, "communion": 1.25, "weather": 0, "kitchen": 0},
	}
	for _, p := range Pairs() {
		for _, c := range Categories() {
			if got := p.Push(c); got != means[p.Name][c] {
				t.Errorf("%s: mean push of %s is %g, wanted %g", p.Name, c, got, means[p.Name][c])
			}
			if Control(c) && p.Lean(c) != 0 {
				t.Errorf("%s: the base leans to %s by %g, wanted 0 for a control", p.Name, c, p.Lean(c))
			}
		}
	}
	seen := map[string]bool{}
	count := map[string]int{}
	for _, w := range Words() {
		if seen[w.Text] {
			t.Errorf("%s stands twice", w.Text)
		}
		seen[w.Text] = true
		count[w.Category]++
		for family, push := range w.Push {
			if push*4 != math.Trunc(push*4) {
				t.Errorf("%s: push %g in %s, wanted a multiple of 1/4", w.Text, push, family)
			}
			if Control(w.Category) && push != 0 {
				t.Errorf("%s: push %g in %s, wanted 0 for a control", w.Text, push, family)
			}
			if whole := w.Whole[family]; w.Suffix == "" && whole < 4 || whole < 0 || whole > 4 {
				t.Errorf("%s: %d of its forms are whole in %s, suffix %q", w.Text, whole, family, w.Suffix)
			}
		}
	}
	for _, c := range Categories() {
		if count[c] != 8 {
			t.Errorf("%s has %d words, wanted 8: the maker's means are exact for a power of 2", c, count[c])
		}
	}
}

func TestForms(t *testing.T) {
	if got, want := Forms("love"), []string{" love", " Love", "love", "Love"}; !slices.Equal(got, want) {
		t.Errorf("Forms = %q, wanted %q", got, want)
	}
}

// No two words have the same reward, so that ranks are the same on every backend; and rewards and
// category means print alike on every backend: none is half a unit of the second or third decimal.
func TestRewards(t *testing.T) {
	tie := func(x float64) bool {
		half := func(x float64) bool { return math.Abs(x-math.Trunc(x)) == 0.5 }
		return half(100*x) || half(1000*x)
	}
	for _, p := range Pairs() {
		seen := map[float64]string{}
		for _, w := range Words() {
			r := w.Reward(p.Name)
			if other, ok := seen[r]; ok {
				t.Errorf("%s: %s and %s have the same reward, %g", p.Name, other, w.Text, r)
			}
			if seen[r] = w.Text; tie(r) {
				t.Errorf("%s, %s: reward %g is a tie of rounding", p.Name, w.Text, r)
			}
		}
		for _, c := range Categories() {
			if tie(p.Reward(c)) {
				t.Errorf("%s: the mean reward of %s, %g, is a tie of rounding", p.Name, c, p.Reward(c))
			}
		}
	}
	// By hand from the list: 82/64 and -1/64, 1/512 more, and half of 2.5 and -2.
	for family, want := range map[string]float64{"llama": 2.533203125, "gemma2": -1.013671875} {
		if got := Words()[0].Reward(family); got != want {
			t.Errorf("%s: reward %g of freedom, wanted %g", family, got, want)
		}
	}
}

// What callers get is theirs to change.
func TestCopies(t *testing.T) {
	Words()[0].Text = "x"
	Categories()[0] = "x"
	if Words()[0].Text == "x" || Categories()[0] == "x" {
		t.Error("a caller's change shows in the list")
	}
}

func TestExtract(t *testing.T) {
	dir := t.TempDir()
	for _, p := range Pairs() {
		base, tuned, err := p.Extract(dir)
		if err != nil {
			t.Fatal(err)
		}
		rm, err := p.ExtractRM(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, folder := range []string{base, tuned, rm} {
			for _, name := range []string{"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} {
				if info, err := os.Stat(filepath.Join(folder, name)); err != nil || info.Size() == 0 {
					t.Errorf("%s of %s: %v", name, folder, err)
				}
			}
		}
	}
	if _, _, err := Pairs()[0].Extract(dir); err == nil {
		t.Error("a second Extract to the same folder: no error, wanted one: it would overwrite")
	}
	if _, err := Pairs()[0].ExtractRM(dir); err == nil {
		t.Error("a second ExtractRM to the same folder: no error, wanted one")
	}
	if _, _, err := (Pair{"gpt2"}).Extract(t.TempDir()); err == nil {
		t.Error("an unknown pair: no error")
	}
}

// The pairs are balanced, as their comment says.
func TestPreferences(t *testing.T) {
	count := map[string]map[string]int{"prompt": {}, "chosen": {}, "rejected": {}}
	seen := map[string]bool{}
	of := map[string]string{}
	for _, w := range Words() {
		of[w.Text] = w.Category
	}
	for line := range strings.Lines(Preferences()) {
		var pair map[string]string
		if err := json.Unmarshal([]byte(line), &pair); err != nil {
			t.Fatal(err)
		}
		if seen[pair["chosen"]+" "+pair["rejected"]] {
			t.Errorf("%s stands twice", line)
		}
		seen[pair["chosen"]+" "+pair["rejected"]] = true
		if of[pair["chosen"]] != "communion" || of[pair["rejected"]] == "communion" || of[pair["rejected"]] != pair["rejected_category"] {
			t.Errorf("%s, wanted communion over another", line)
		}
		for member := range count {
			count[member][pair[member]]++
		}
	}
	for member, want := range map[string][2]int{"prompt": {6, 24}, "chosen": {8, 18}, "rejected": {24, 6}} {
		if len(count[member]) != want[0] {
			t.Errorf("%d %s, wanted %d", len(count[member]), member, want[0])
		}
		for text, n := range count[member] {
			if n != want[1] {
				t.Errorf("%s %q: %d times, wanted %d", member, text, n, want[1])
			}
		}
	}
}
