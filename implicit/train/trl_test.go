package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/tokenize"
)

// trlCase is a case of testdata/trldata.json.
type trlCase struct {
	Tokenizer, Name string
	Task            Task
	Limit           int
	Lines           []string
	Rows            []struct {
		IDs  [][]int32
		From int
	}
}

func trlCases(t testing.TB) (cases []trlCase) {
	t.Helper()
	b, err := os.ReadFile("testdata/trldata.json")
	if err == nil {
		err = json.Unmarshal(b, &cases)
	}
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// tokenizers loads the test tokenizers.
func tokenizers(t testing.TB) func(name string) *tokenize.Tokenizer {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	loaded := map[string]*tokenize.Tokenizer{}
	return func(name string) *tokenize.Tokenizer {
		t.Helper()
		if loaded[name] == nil {
			tok, err := tokenize.Load("../../tokenize/testdata/" + name)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { tok.Close() })
			loaded[name] = tok
		}
		return loaded[name]
	}
}

// TestTRL: the ids of every row, and where those begin that are trained, are those that TRL's
// own trainers make, for every form of rows, with a limit and without.
func TestTRL(t *testing.T) {
	load := tokenizers(t)
	for _, c := range trlCases(t) {
		t.Run(fmt.Sprintf("%s/%s/%s/%d", c.Tokenizer, c.Task, c.Name, c.Limit), func(t *testing.T) {
			d, err := Read(t.Context(), strings.NewReader(strings.Join(c.Lines, "\n")), c.Task)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(d.Refused()...); err != nil {
				t.Fatal(err)
			}
			o := Options{Task: c.Task, MaxTokens: c.Limit, Long: "cut"} // as DPOTrainer and SFTTrainer do
			if c.Task == Reward {
				o.Long = "drop"
			}
			rows, counts, err := d.encode(t.Context(), load(c.Tokenizer), o)
			if len(c.Rows) == 0 {
				if err == nil {
					t.Fatalf("%d rows, wanted none", len(rows))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(rows) != len(c.Rows) || counts.Rows+counts.Long != len(c.Lines) {
				t.Fatalf("%d rows, wanted %d; counted %+v", len(rows), len(c.Rows), counts)
			}
			for i, want := range c.Rows {
				for k, x := range rows[i].texts {
					// The first token has no log-probability: TRL's shifted labels leave it out.
					from := max(want.From, 1)
					if c.Task == Reward {
						from = 0
					}
					if !slices.Equal(x.ids, want.IDs[k]) || x.from != from {
						t.Errorf("row %d, text %d: %d from %d, wanted %d from %d", i+1, k+1, x.ids, x.from, want.IDs[k], from)
					}
				}
			}
		})
	}
}
