package words

import (
	"bytes"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/logprob"
)

var someRows = []Record{
	{"greatest_ever_one", "Agency;Communion", "love", " love", 1, -1.5, -2.25, 0.75, "", "exact", 1, 0.25, 1},
	{"p,2", "", `say "x"`, "a\r\nb", 3, -0.1 - 0.2, math.Inf(-1), math.Inf(1), "say*", "ended", 2, math.Inf(1), 2.5},
	{"null", "NA", "NaN", "", 0, -1e-300, math.Nextafter(-1, 0), 5e-324, "", "paper", 0, -1e-17, 0},
}

func seq(rows []Record) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// TestRewardsFile: rows come back from both kinds of file as they went in, and the
// same rows give the same bytes.
func TestRewardsFile(t *testing.T) {
	var a, b bytes.Buffer
	if err := WriteCSV(&a, seq(someRows)); err != nil {
		t.Fatal(err)
	}
	got, _, err := ReadRecords(bytes.NewReader(a.Bytes()), int64(a.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, someRows) {
		t.Errorf("CSV: %v, wanted %v", got, someRows)
	}

	meta := Provenance{Beta: 0.1, Tuned: logprob.Meta{Model: "a/b"}, Corpus: "00ff"}
	a.Reset()
	for _, w := range []*bytes.Buffer{&a, &b} {
		if err := WriteParquet(w, seq(someRows), meta); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("the same rows gave two Parquet files")
	}
	got, m, err := ReadRecords(bytes.NewReader(a.Bytes()), int64(a.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, someRows) || m.Beta != 0.1 || m.Tuned.Model != "a/b" || m.Corpus != "00ff" {
		t.Errorf("Parquet: %v %+v, wanted %v %+v", got, m, someRows, meta)
	}
}

// TestOldRewardsFile: files of the first version, CSV and Parquet, are read as exact forms.
func TestOldRewardsFile(t *testing.T) {
	type old struct {
		Prompt   string  `parquet:"prompt,dict"`
		Category string  `parquet:"category,dict"`
		Word     string  `parquet:"word,dict"`
		Form     string  `parquet:"form,dict"`
		NTokens  int32   `parquet:"n_tokens"`
		Tuned    float64 `parquet:"logp_tuned"`
		Base     float64 `parquet:"logp_base"`
		Reward   float64 `parquet:"reward"`
	}
	want := Record{Prompt: "p", Category: "A", Word: "love", Form: " love", NTokens: 1, Tuned: -1, Base: -2, Reward: 1,
		Measure: "exact", Forms: 1, MWLR: (math.Exp(-1) + math.Exp(-2)) / 2}
	var b bytes.Buffer
	w := parquet.NewGenericWriter[old](&b, parquet.KeyValueMetadata("implicitreward", `{"beta": 2, "form": " {}"}`))
	if _, err := w.Write([]old{{"p", "A", "love", " love", 1, -1, -2, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	rows, m, err := ReadRecords(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || len(rows) != 1 || rows[0] != want || m.Beta != 2 {
		t.Errorf("Parquet: %+v, %v, wanted %+v", rows, err, want)
	}
	const csv = "reward,prompt,category,word,form,n_tokens,logp_tuned,logp_base\n1,p,A,love, love,1,-1,-2\n"
	if rows, _, err = ReadRecords(strings.NewReader(csv), int64(len(csv))); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 || rows[0] != want {
		t.Errorf("CSV: %+v, wanted %+v", rows, want)
	}
}

func TestRewardsFileErrors(t *testing.T) {
	const header = "prompt,category,word,form,n_tokens,logp_tuned,logp_base,reward\n"
	for _, test := range []struct{ file, want string }{
		{"", "words: rewards: "},
		{"prompt,word\na,b\n", "words: rewards: no column category, wanted prompt,category,word,form,n_tokens,logp_tuned,logp_base,reward"},
		{header + "p,c,w,f,x,-1,-1,0\n", `n_tokens`},
		{header + "p,c,w,f,1,-1,,0\n", `logp_base`},
		{header + "p,c,w,f,1,-1,NaN,0\n", `logp_base`},
		{header + "p,c,w\n", `line 2`},
		{"measure," + header + "mean,p,c,w,f,1,-1,-1,0\n", `line 2, column 1 (measure): "mean", wanted exact, pooled, ended or paper`},
		{"mwlr," + header + "NaN,p,c,w,f,1,-1,-1,0\n", `mwlr`},
		{"rank," + header + "x,p,c,w,f,1,-1,-1,0\n", `rank`},
		{"n_forms," + header + "-1,p,c,w,f,1,-1,-1,0\n", `wanted a number of forms`},
	} {
		_, _, err := ReadRecords(strings.NewReader(test.file), int64(len(test.file)))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: error %v, wanted %q", test.file, err, test.want)
		}
	}
	// A footer of 4 GB, as its size has it, in a file of 12 bytes.
	if _, _, err := ReadRecords(strings.NewReader("PAR1\xff\xff\xff\xffPAR1"), 12); err == nil || err.Error() != "words: rewards: 4294967295 bytes of metadata in a file of 12 bytes" {
		t.Error(err)
	}
	if _, _, err := ReadRecords(strings.NewReader("PAR1 no"), 7); err == nil {
		t.Error("a broken Parquet file was read")
	}
}

// TestScoresFile: rows of a reward model come back from both kinds of file as they went in, and
// wrong ones are refused.
func TestScoresFile(t *testing.T) {
	rows := []ScoreRecord{
		{"greatest_ever_one", "Agency;Communion", "love", " love", 1, -1.5, "", "exact", 1, 1, "trimmed;same-text", ""},
		{"p,2", "", `say "x"`, "", 3, -0.1 - 0.2, "say*", "mean", 2, 2.5, "", `{"a,b":1e-07,"c":-3}`},
		{"null", "NA", "NaN", "NaN", 0, math.Nextafter(-1, 0), "", "best", 4, 1, "", ""},
	}
	all := func(yield func(ScoreRecord, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
	var a, b bytes.Buffer
	if err := WriteScoresCSV(&a, all); err != nil {
		t.Fatal(err)
	}
	if got, _, err := ReadScores(bytes.NewReader(a.Bytes()), int64(a.Len())); err != nil || !slices.Equal(got, rows) {
		t.Errorf("CSV: %v, %v, wanted %v", got, err, rows)
	}
	meta := ScoreProvenance{RM: rewardmodel.Meta{Meta: logprob.Meta{Model: "a/b"}, Head: "linear"}, Corpus: "00ff", Forms: []lexicon.Form{"{lower}"}, Measures: ScoreMeasures()}
	if err := WriteScoresParquet(&b, all, meta); err != nil {
		t.Fatal(err)
	}
	got, m, err := ReadScores(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || !slices.Equal(got, rows) || m.RM.Model != "a/b" || m.RM.Head != "linear" || m.Corpus != "00ff" || len(m.Measures) != 3 {
		t.Errorf("Parquet: %v, %+v, %v", got, m, err)
	}
	var text strings.Builder
	if err := meta.WriteJSON(&text); err != nil || !strings.Contains(text.String(), `"rm": {`) || !strings.Contains(text.String(), `"head": "linear"`) || !strings.Contains(text.String(), `"model": "a/b"`) {
		t.Errorf("%v, %s", err, text.String())
	}
	const header = "prompt,category,word,form,n_tokens,reward,wildcard,measure,n_forms,rank,flags,outputs\n"
	for row, want := range map[string]string{
		"p,,w,w,1,inf,,exact,1,1,,\n": "words: scores: line 2, column 6 (reward): +Inf, wanted a finite number",
		"p,,w,w,1,1,,pooled,1,1,,\n":  `words: scores: line 2, column 8 (measure): "pooled", wanted exact, best or mean`,
		"p,,w,w,1,no,,exact,1,1,,\n":  `words: scores: line 2, column 6 (reward): "no", wanted a number`,
	} {
		if _, _, err := ReadScores(strings.NewReader(header+row), int64(len(header+row))); err == nil || err.Error() != want {
			t.Errorf("%v, wanted %s", err, want)
		}
	}
	if _, _, err := ReadScores(strings.NewReader("prompt,word\n"), 12); err == nil || !strings.Contains(err.Error(), "no column category") {
		t.Errorf("%v", err)
	}
}
