package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/internal/demo"
	"github.com/implicitreward/implicitreward/logprob"
)

// TestCertify: the certificate is printed and recorded, and where the bounds do not hold,
// as for a model whose logits are a hundred times as large, the exit code is 1.
func TestCertify(t *testing.T) {
	if testing.Short() {
		t.Skip("long: computes in float64")
	}
	dir := t.TempDir()
	_, model, err := demo.Pair{Name: "llama"}.Extract(dir)
	if err != nil {
		t.Fatal(err)
	}
	prompts := filepath.Join(dir, "p.csv")
	if err := os.WriteFile(prompts, []byte("name,prompt\nbest,What is best?\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		holds   bool
		code    int
		verdict string
	}{
		{true, 0, "the promised bounds hold here"},
		{false, 1, "THE PROMISED BOUNDS DO NOT HOLD HERE"},
	} {
		out := filepath.Join(dir, "t.parquet")
		stdout, stderr, code := call(t, "-model", model, "-prompts", prompts, "-out", out, "-force", "-dtype", "bf16", "-certify")
		if code != test.code || stdout != "" || !strings.Contains(stderr, "certificate of "+model+": "+test.verdict+"\n") ||
			!strings.Contains(stderr, "computed in bf16 on go, processor "+logprob.Processor()+"\n") {
			t.Errorf("exit code %d, stdout %q, stderr %q, wanted %d and %q", code, stdout, stderr, test.code, test.verdict)
		}
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		table, err := logprob.ReadParquet(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		c := table.Meta.Certificate
		if c == nil || c.Holds != test.holds || c.Texts != 6 || c.Promised != logprob.Promised(dtypes.BFloat16) {
			t.Errorf("recorded %+v, wanted that it holds: %v", c, test.holds)
		}
		magnify(t, model, "model.norm.weight", 100)
	}
}

// magnify multiplies a tensor of a checkpoint.
func magnify(t *testing.T, dir, name string, by float32) {
	t.Helper()
	w, err := checkpoint.OpenWeights(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []checkpoint.Tensor
	for _, n := range w.Names() {
		tensor, _ := w.Get(n)
		if n == name {
			values, err := tensor.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			tensor.DType, tensor.Data = dtypes.Float32, nil
			for _, v := range values {
				tensor.Data = binary.LittleEndian.AppendUint32(tensor.Data, math.Float32bits(by*v))
			}
		}
		all = append(all, tensor)
	}
	f, err := os.Create(filepath.Join(dir, "new.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(checkpoint.Write(f, all, nil), f.Close(), w.Close(), os.Rename(f.Name(), filepath.Join(dir, "model.safetensors"))); err != nil {
		t.Fatal(err)
	}
}
