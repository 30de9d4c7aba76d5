package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/gomlx/compute/dtypes/bfloat16"

	"github.com/implicitreward/implicitreward/internal/output"
)

// bigConfig is a Llama of 3.0 billion parameters (the shape of Llama 3.2 3B with SmolLM2's
// vocabulary), 5.9 GB in bfloat16.
func bigConfig() config {
	return config{
		Architectures: []string{"LlamaForCausalLM"}, ModelType: "llama", Act: "silu",
		D: 3072, Inner: 8192, Layers: 28, Heads: 24, KVHeads: 8, Vocab: 49152,
		Context: 8192, Eps: 1e-5, Theta: 500000, Tied: true, BOS: 1, EOS: 2, DType: "bfloat16",
	}
}

// tensors lists what a checkpoint of the configuration holds; one dimension: a norm.
func (c *config) tensors() (names []string, shapes [][]int) {
	add := func(name string, shape ...int) {
		names, shapes = append(names, name+".weight"), append(shapes, shape)
	}
	add("model.embed_tokens", c.Vocab, c.D)
	for i := range c.Layers {
		layer := fmt.Sprintf("model.layers.%d.", i)
		add(layer+"input_layernorm", c.D)
		switch c.ModelType { // the norms of q and k
		case "olmoe":
			add(layer+"self_attn.q_norm", c.Heads*c.width())
			add(layer+"self_attn.k_norm", c.KVHeads*c.width())
		case "qwen3_moe":
			add(layer+"self_attn.q_norm", c.width())
			add(layer+"self_attn.k_norm", c.width())
		}
		for _, m := range c.block() {
			if !strings.HasPrefix(m.name, expert) {
				add(layer+m.name, m.out, m.in)
				continue
			}
			for e := range c.Experts {
				add(layer+fmt.Sprintf(m.name, e), m.out, m.in)
			}
		}
		add(layer+"post_attention_layernorm", c.D)
	}
	add("model.norm", c.D)
	if !c.Tied {
		add("lm_head", c.Vocab, c.D)
	}
	return names, shapes
}

// writeRandom writes a checkpoint of random weights to dir, with the tokenizer of another.
// Matrices are normal with standard deviation 0.02, as models are initialised; norms
// are 1. A folder that is complete stays as it is.
func writeRandom(ctx context.Context, dir, tokenizer string, c config, stderr io.Writer) error {
	if have, err := readConfig(dir); err == nil && fmt.Sprint(have) == fmt.Sprint(c) {
		return nil
	}
	names, shapes := c.tensors()
	header, size := map[string]any{}, int64(0)
	for i, name := range names {
		n := int64(2)
		for _, d := range shapes[i] {
			n *= int64(d)
		}
		header[name] = map[string]any{"dtype": "BF16", "shape": shapes[i], "data_offsets": []int64{size, size + n}}
		size += n
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err == nil && int64(disk.Bavail)*int64(disk.Bsize) < size+size/4 {
		return fmt.Errorf("%s: the disk has %d MB free, wanted %d", dir, int64(disk.Bavail)*int64(disk.Bsize)/1e6, (size+size/4)/1e6)
	}
	fmt.Fprintf(stderr, "writing %d MB of random weights to %s\n", size/1e6, dir)
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json"} {
		b, err := os.ReadFile(filepath.Join(tokenizer, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return err
		}
	}
	err := output.WriteFile(filepath.Join(dir, "model.safetensors"), func(w io.Writer) error {
		out := bufio.NewWriterSize(w, 1<<20)
		if err := writeHeader(out, header); err != nil {
			return err
		}
		draw := newNormal(0.02)
		for _, shape := range shapes {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := draw.write(out, shape); err != nil {
				return err
			}
		}
		return out.Flush()
	})
	if err != nil {
		return err
	}
	return output.WriteFile(filepath.Join(dir, "config.json"), func(w io.Writer) error { return json.NewEncoder(w).Encode(c) })
}

// writeHeader writes the beginning of a safetensors file.
func writeHeader(w io.Writer, header map[string]any) error {
	h, err := json.Marshal(header)
	if err != nil {
		return err
	}
	for len(h)%8 != 0 {
		h = append(h, ' ')
	}
	_, err = w.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(len(h))), h...))
	return err
}

// normal draws bfloat16 numbers from a normal distribution by the 65,536 midpoints of its
// quantiles: four with one random number.
type normal struct {
	random *rand.PCG
	bits   uint64 // what is left of it
	left   int
	values [1 << 16]bfloat16.BFloat16
	row    []byte
}

func newNormal(deviation float64) *normal {
	n := &normal{random: rand.NewPCG(3, 0)}
	for i := range n.values {
		u := (float64(i) + 0.5) / float64(len(n.values))
		n.values[i] = bfloat16.FromFloat32(float32(deviation * math.Sqrt2 * math.Erfinv(2*u-1)))
	}
	return n
}

func (n *normal) next() bfloat16.BFloat16 {
	if n.left == 0 {
		n.bits, n.left = n.random.Uint64(), 4
	}
	x := n.values[n.bits&0xffff]
	n.bits >>= 16
	n.left--
	return x
}

// write writes a tensor row by row: ones if it has one dimension.
func (n *normal) write(w io.Writer, shape []int) error {
	rows, row := 1, shape[0]
	if len(shape) == 2 {
		rows, row = shape[0], shape[1]
	}
	one := bfloat16.FromFloat32(1)
	for range rows {
		n.row = n.row[:0]
		for range row {
			x := one
			if len(shape) == 2 {
				x = n.next()
			}
			n.row = binary.LittleEndian.AppendUint16(n.row, x.Bits())
		}
		if _, err := w.Write(n.row); err != nil {
			return err
		}
	}
	return nil
}

// parameters counts the numbers of a checkpoint.
func (c *config) parameters() int {
	_, shapes := c.tensors()
	all := 0
	for _, shape := range shapes {
		n := 1
		for _, d := range shape {
			n *= d
		}
		all += n
	}
	return all
}
