package train

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/logprob"
)

// stateFile says in the folder state how far the run is.
const stateFile = "state.json"

// state is where a run goes on after it was stopped, beside the tensors in the same folder: of
// each parameter its value and AdamW's moments, float32. The place in the order follows from
// the step.
type state struct {
	Step       int    `json:"step"`       // the last one that is complete
	Checkpoint int    `json:"checkpoint"` // the step of the last checkpoint
	Tokens     int64  `json:"tokens"`     // so far
	Passes     uint64 `json:"passes"`     // through the model, which dropout depends on
	Log        int64  `json:"log_bytes"`  // of log.jsonl
	Eval       int64  `json:"eval_bytes"` // of eval.jsonl, with the last checkpoint's line
	Tensors    string `json:"tensors"`    // file; "" at the beginning and at the end
}

// complete tells whether it is that of a run that has ended.
func (s *state) complete(steps int) bool { return s != nil && s.Step == steps && s.Tensors == "" }

// readState returns the state that the folder holds, nil for none.
func (f *folder) readState() (*state, error) {
	data, err := regular.Read(f.join(stateDir, stateFile), regular.Text)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	s := &state{}
	if err == nil {
		err = strictjson.Unmarshal(data, s)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.join(stateDir, stateFile), err)
	}
	return s, nil
}

// saveState writes the tensors, then state.json, which makes them count, and removes those of
// before. Without parameters there are no tensors.
func (f *folder) saveState(s state, params []*logprob.Param, a *adamW) (err error) {
	if s.Log, err = f.size(logFile); err != nil {
		return err
	}
	if err := os.MkdirAll(f.join(stateDir), 0o777); err != nil {
		return err
	}
	before, err := f.readState()
	if err != nil {
		return err
	}
	if s.Step > 0 && params != nil {
		s.Tensors = fmt.Sprintf("step-%d.safetensors", s.Step)
		if err := f.writeFile(f.join(stateDir, s.Tensors), func(w io.Writer) error { return writeTensors(w, params, a) }); err != nil {
			return err
		}
	}
	if err := f.writeJSON(f.join(stateDir, stateFile), s); err != nil {
		return err
	}
	if before != nil && before.Tensors != "" && before.Tensors != s.Tensors {
		err = os.Remove(f.join(stateDir, before.Tensors))
		f.at("without " + before.Tensors)
	}
	return err
}

// kept are what a state has of a parameter, by the beginnings of their names.
func kept(p *logprob.Param, m, v []float32) map[string][]float32 {
	return map[string][]float32{"value/": p.Value, "m/": m, "v/": v}
}

// writeTensors writes values and moments, one tensor at a time.
func writeTensors(w io.Writer, params []*logprob.Param, a *adamW) error {
	values := map[string][]float32{}
	var tensors []checkpoint.Tensor
	for i, p := range params {
		for kind, x := range kept(p, a.m[i], a.v[i]) {
			values[kind+p.Name] = x
			tensors = append(tensors, checkpoint.Tensor{Name: kind + p.Name, DType: dtypes.Float32, Shape: p.Shape})
		}
	}
	return checkpoint.WriteFrom(w, tensors, nil, func(w io.Writer, t checkpoint.Tensor) error {
		return writeFloats(w, values[t.Name])
	})
}

// writeFloats writes numbers, little endian.
func writeFloats(w io.Writer, values []float32) error {
	var b []byte
	for some := range slices.Chunk(values, piece) {
		b = b[:0]
		for _, x := range some {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// loadState sets values and moments to those of a state.
func (f *folder) loadState(s *state, params []*logprob.Param, a *adamW) error {
	w, err := checkpoint.OpenFile(f.join(stateDir, s.Tensors))
	if err != nil {
		return err
	}
	defer w.Close()
	n := 0
	for i, p := range params {
		for kind, x := range kept(p, a.m[i], a.v[i]) {
			t, ok := w.Get(kind + p.Name)
			if !ok {
				return fmt.Errorf("%s: no tensor %s", s.Tensors, kind+p.Name)
			}
			if err := t.Float32sInto(x); err != nil {
				return err
			}
			n++
		}
	}
	if all := len(w.Names()); all != n {
		return fmt.Errorf("%s: %d tensors, wanted %d", s.Tensors, all, n)
	}
	return nil
}
