package input

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/internal/table"
)

// paperRuns are the paper's files: what they hold is in the names only, and in the
// scripts that draw them. The sizes are those of the script; the GRM file says 85.
var paperRuns = map[string]cube.Ablation{
	"rank_results_uf_13.csv":   {Size: 13, Source: "uf", Method: "BT"},
	"rank_results_uf_27.csv":   {Size: 27, Source: "uf", Method: "BT"},
	"rank_results_uf_54.csv":   {Size: 53, Source: "uf", Method: "BT"},
	"rank_results_uf_100.csv":  {Size: 106, Source: "uf", Method: "BT"},
	"rank_results_sky_80k.csv": {Size: 77, Source: "skywork", Method: "BT"},
	"rank_results_grm_80k.csv": {Size: 550, Source: "uf+skywork", Method: "GRM"},
}

// ReadAblation reads the columns model_id, Category, checkpoint, base_model and
// sum_value (the median rank), and data_size, data_source and method, which the
// paper's files, known by name, may lack. Where base_model is NA the family is found
// in the model's name.
func ReadAblation(path string) (*cube.Ablation, error) {
	data, err := regular.Read(path, regular.Scores)
	if err != nil {
		return nil, err
	}
	a := paperRuns[filepath.Base(path)]
	sum := sha256.Sum256(data)
	a.File, a.Hash = path, hex.EncodeToString(sum[:])
	if err := readAblation(table.NewCSVReader(bytes.NewReader(data)), &a); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &a, nil
}

func readAblation(in *table.CSVReader, a *cube.Ablation) error {
	header, err := in.Header()
	if err != nil {
		return err
	}
	column := func(name string) int { return slices.Index(header, name) }
	for _, name := range []string{"model_id", "Category", "checkpoint", "base_model", "sum_value"} {
		if column(name) < 0 {
			return fmt.Errorf("line 1: no column %s, wanted model_id, Category, checkpoint, base_model and sum_value", name)
		}
	}
	known := a.Method != ""
	for record, err := range records(in) {
		if err != nil {
			return err
		}
		text := func(name string) string {
			if i := column(name); i >= 0 {
				return string(record[i])
			}
			return ""
		}
		if len(a.Rows) == 0 && !known {
			a.Source, a.Method = text("data_source"), text("method")
			if a.Size, err = strconv.ParseFloat(text("data_size"), 64); err != nil || a.Source == "" || a.Method == "" {
				return fmt.Errorf("line %d: wanted data_size (a number), data_source and method in columns of these names",
					in.Line(0))
			}
		}
		r := cube.RunRow{Model: text("model_id"), Category: text("Category")}
		r.Family = runFamily(text("base_model"), r.Model)
		if r.Family == "" {
			return in.Errorf(column("base_model"), "model %s without a family", r.Model)
		}
		if r.Checkpoint, err = strconv.Atoi(text("checkpoint")); err != nil {
			return in.Errorf(column("checkpoint"), "%q, wanted a number of steps", text("checkpoint"))
		}
		if r.Median, err = strconv.ParseFloat(text("sum_value"), 64); err != nil || !(r.Median >= 1) {
			return in.Errorf(column("sum_value"), "%q, wanted a median rank", text("sum_value"))
		}
		a.Rows = append(a.Rows, r)
	}
	if len(a.Rows) == 0 {
		return errors.New("no rows")
	}
	return nil
}

// runFamily is the family of a training run's model; "" where it is not known.
func runFamily(base, model string) string {
	if base != "" && base != "NA" {
		return familyName(base)
	}
	for _, family := range []string{"Gemma", "Llama", "Qwen"} {
		if strings.Contains(strings.ToLower(model), strings.ToLower(family)) {
			return family
		}
	}
	return ""
}
