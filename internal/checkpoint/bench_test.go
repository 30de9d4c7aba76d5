//go:build unix

package checkpoint

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/float16"
)

// model135 writes weights of SmolLM2-135M's shapes (134.5M parameters).
func model135(tb testing.TB, dtype dtypes.DType) string {
	rng := rand.New(rand.NewPCG(1, 2))
	var tensors []Tensor
	add := func(name string, shape ...int) {
		n := 1
		for _, s := range shape {
			n *= s
		}
		data := make([]byte, 0, n*dtype.Size())
		for range n {
			x := float32(rng.NormFloat64()) * 0.05
			v := math.Float32bits(x)
			switch dtype {
			case dtypes.Float32:
				data = binary.LittleEndian.AppendUint32(data, v)
			case dtypes.BFloat16:
				data = binary.LittleEndian.AppendUint16(data, uint16(v>>16))
			case dtypes.Float16:
				data = binary.LittleEndian.AppendUint16(data, float16.FromFloat32(x).Bits())
			}
		}
		tensors = append(tensors, Tensor{Name: name, DType: dtype, Shape: shape, Data: data})
	}
	add("model.embed_tokens.weight", 49152, 576)
	for i := range 30 {
		l := fmt.Sprintf("model.layers.%d.", i)
		add(l+"self_attn.q_proj.weight", 576, 576)
		add(l+"self_attn.k_proj.weight", 192, 576)
		add(l+"self_attn.v_proj.weight", 192, 576)
		add(l+"self_attn.o_proj.weight", 576, 576)
		add(l+"mlp.gate_proj.weight", 1536, 576)
		add(l+"mlp.up_proj.weight", 1536, 576)
		add(l+"mlp.down_proj.weight", 576, 1536)
		add(l+"input_layernorm.weight", 576)
		add(l+"post_attention_layernorm.weight", 576)
	}
	add("model.norm.weight", 576)
	dir := tb.TempDir()
	f, err := os.Create(filepath.Join(dir, singleFile))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	if err := Write(f, tensors, nil); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// each runs work on every tensor from two goroutines, as a loader would.
func each(w *Weights, workers int, work func(Tensor)) {
	jobs := make(chan Tensor)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for t := range jobs {
				work(t)
			}
		})
	}
	for _, name := range w.Names() {
		t, _ := w.Get(name)
		jobs <- t
	}
	close(jobs)
	wg.Wait()
}

// cpu is the processor time of this process so far, which, unlike the wall clock, is
// meaningful on a busy machine.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkWeights(b *testing.B) {
	for _, dtype := range []dtypes.DType{dtypes.Float32, dtypes.BFloat16, dtypes.Float16} {
		dir := model135(b, dtype)
		b.Run(dtype.String()+"/open", func(b *testing.B) {
			start := cpu()
			defer func() { b.ReportMetric(float64((cpu()-start).Microseconds())/1000/float64(b.N), "cpu-ms/op") }()
			for b.Loop() {
				w, err := OpenWeights(dir)
				if err != nil {
					b.Fatal(err)
				}
				w.Close()
			}
		})
		w, err := OpenWeights(dir)
		if err != nil {
			b.Fatal(err)
		}
		defer w.Close()
		var size int64
		room := make(map[string][]float32)
		for _, name := range w.Names() {
			t, _ := w.Get(name)
			size += int64(len(t.Data))
			n := len(t.Data) / dtype.Size()
			room[name] = make([]float32, n)
		}
		for _, workers := range []int{1, 2} {
			run := func(name string, work func(Tensor)) {
				b.Run(fmt.Sprintf("%v/%s/workers=%d", dtype, name, workers), func(b *testing.B) {
					b.SetBytes(size)
					start := cpu()
					for b.Loop() {
						each(w, workers, work)
					}
					b.ReportMetric(float64((cpu()-start).Microseconds())/1000/float64(b.N), "cpu-ms/op")
				})
			}
			run("float32s", func(t Tensor) {
				if _, err := t.Float32s(); err != nil {
					b.Fatal(err)
				}
			})
			run("into", func(t Tensor) {
				if err := t.Float32sInto(room[t.Name]); err != nil {
					b.Fatal(err)
				}
			})
			run("finite", func(t Tensor) {
				if err := t.CheckFinite(); err != nil {
					b.Fatal(err)
				}
			})
		}
		b.Run(dtype.String()+"/hash", func(b *testing.B) {
			b.SetBytes(size)
			start := cpu()
			defer func() { b.ReportMetric(float64((cpu()-start).Microseconds())/1000/float64(b.N), "cpu-ms/op") }()
			for b.Loop() {
				if _, err := w.Hash(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
