package study

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/table"
	"github.com/implicitreward/implicitreward/logprob"
)

// Language is a language model and its table of log-probabilities.
type Language struct {
	Model Model
	File  string
	Table *logprob.Table
}

// ReadLanguage reads a table, CSV or Parquet by the name's ending, with its metadata
// (of a CSV file: file.csv.meta.json, if it is there). The model is found by the
// metadata's name, or the file's.
func ReadLanguage(path string, models []Model) (*Language, error) {
	data, err := regular.Read(path, regular.Scores)
	if err != nil {
		return nil, err
	}
	l := &Language{File: path}
	if strings.HasSuffix(path, ".parquet") {
		l.Table, err = logprob.ReadParquet(bytes.NewReader(data), int64(len(data)))
	} else if l.Table, err = logprob.ReadCSV(bytes.NewReader(data)); err == nil {
		err = table.ReadMeta(path, &l.Table.Meta)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var ok bool
	if l.Model, ok = findModel(models, stem(path)); !ok && l.Table.Meta.Model != "" {
		l.Model, _ = findModel(models, l.Table.Meta.Model)
	}
	return l, nil
}

// isTuned says whether a model is an instruction-tuned one, by its type or name.
func (l *Language) isTuned() bool {
	if l.Model.Type != "" {
		return l.Model.Type != "pretrained"
	}
	name := strings.ToLower(l.Model.Name)
	return strings.HasSuffix(name, "-it") || strings.Contains(name, "instruct") || strings.Contains(name, "chat")
}

// likeliest returns the greatest log-probability of each text after a prompt, and the
// texts in id order. drop leaves out what pandas reads as missing.
func likeliest(t *logprob.Table, column []float32, drop bool) (map[string]float32, []string) {
	best, order := make(map[string]float32, len(t.Tokens)), make([]string, 0, len(t.Tokens))
	for i, tok := range t.Tokens {
		if drop && table.PandasMissing(tok.Text) {
			continue
		}
		old, ok := best[tok.Text]
		if !ok {
			order = append(order, tok.Text)
		}
		if !ok || column[i] > old {
			best[tok.Text] = column[i]
		}
	}
	return best, order
}

var (
	gemmaName = regexp.MustCompile(`(?i)gemma-(\d+)-(\d+)b`)
	llamaName = regexp.MustCompile(`(?i)llama-(\d+(?:\.\d+)?)-(\d+)b`)
)

// label is a model's short name in Figure 3, "G2-27b" or "L3.0-70b", with its version
// and size to sort by; other models keep their name.
func label(m Model) (name string, version, size float64) {
	for prefix, re := range map[string]*regexp.Regexp{"G": gemmaName, "L": llamaName} {
		f := re.FindStringSubmatch(m.Name)
		if f == nil {
			continue
		}
		version, _ = strconv.ParseFloat(f[1], 64)
		size, _ = strconv.ParseFloat(f[2], 64)
		if prefix == "L" && !strings.Contains(f[1], ".") {
			f[1] += ".0"
		}
		return prefix + f[1] + "-" + f[2] + "b", version, size
	}
	return m.Display, 0, 0
}

// byVersion sorts models by version, size and name.
func byVersion(list []*Language) {
	slices.SortStableFunc(list, func(a, b *Language) int {
		_, va, sa := label(a.Model)
		_, vb, sb := label(b.Model)
		return cmp.Or(cmp.Compare(va, vb), cmp.Compare(sa, sb), cmp.Compare(a.Model.Name, b.Model.Name))
	})
}
