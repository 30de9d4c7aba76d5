package main

import (
	"bytes"
	"io/fs"
	"math"
	"os"
	"path"
	"strings"
	"testing"
)

// The committed files are what this program makes, to the byte, and nothing else lies there.
func TestCommitted(t *testing.T) {
	want, err := makeAll()
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	err = fs.WalkDir(os.DirFS("../data"), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		got, err := os.ReadFile(path.Join("../data", name))
		if err != nil {
			return err
		}
		total += len(got)
		if w, ok := want[name]; !ok {
			t.Errorf("%s is not made by this program", name)
		} else if !bytes.Equal(got, w) {
			t.Errorf("%s differs from what this program makes: run go generate ./internal/demo", name)
		}
		delete(want, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range want {
		t.Errorf("%s is missing: run go generate ./internal/demo", name)
	}
	if total > 1_800_000 {
		t.Errorf("%d bytes, wanted at most 1.8 MB in every program that embeds them", total)
	}
}

// A base and its tuned model differ in the output matrix alone.
func TestTunedDiffersInHead(t *testing.T) {
	for name, f := range families {
		v, err := f.vocabulary()
		if err != nil {
			t.Fatal(err)
		}
		n := newNetwork(f, v)
		tuned := n.tuned()
		for i, b := range n.base() {
			same := bytes.Equal(b.Data, tuned[i].Data)
			if same == (b.Name == "lm_head.weight") {
				t.Errorf("%s: %s: same = %v", name, b.Name, same)
			}
		}
	}
}

// A reward model is its base with a score for the output matrix, and other embeddings, outputs of blocks
// and a last layer's attention.
func TestRewardModelDiffers(t *testing.T) {
	for name, f := range families {
		v, err := f.vocabulary()
		if err != nil {
			t.Fatal(err)
		}
		n := newNetwork(f, v)
		base := map[string][]byte{}
		for _, b := range n.base() {
			base[b.Name] = b.Data
		}
		var other []string
		for _, r := range n.rewardModel() {
			if !bytes.Equal(r.Data, base[r.Name]) {
				other = append(other, strings.TrimPrefix(strings.TrimSuffix(r.Name, ".weight"), "model."))
			}
			delete(base, r.Name)
		}
		want := "embed_tokens layers.0.self_attn.o_proj layers.0.mlp.down_proj layers.1.self_attn.q_proj layers.1.self_attn.k_proj " +
			"layers.1.self_attn.v_proj layers.1.self_attn.o_proj layers.1.mlp.down_proj score"
		if name == "gemma2" {
			want = strings.Replace(want, " score", " layers.1.post_attention_layernorm score", 1)
		}
		if got := strings.Join(other, " "); got != want || len(base) != 1 || base["lm_head.weight"] == nil {
			t.Errorf("%s: differs in %s, and lacks %d; wanted %s, and lm_head alone", name, got, len(base), want)
		}
	}
}

func TestFloat16(t *testing.T) {
	// From IEEE 754: sign, 5 bits of exponent over 15, 10 of fraction.
	for _, c := range []struct {
		x    float32
		want uint16
	}{
		{0, 0}, {1, 0x3c00}, {-1, 0xbc00}, {0.5, 0x3800}, {1.5, 0x3e00}, {8192, 0x7000}, {65504, 0x7bff},
		{1023, 0x63fe}, {-0.875, 0xbb00}, {0x1p-14, 0x0400}, {1 + 0x1p-10, 0x3c01},
	} {
		if got := float16(c.x); got != c.want {
			t.Errorf("float16(%g) = %#04x, wanted %#04x", c.x, got, c.want)
		}
	}
	for _, x := range []float32{0.1, 65536, 0x1p-15, 1 + 0x1p-11, float32(math.Inf(1)), float32(math.NaN())} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("float16(%g): no panic, wanted one: it is not exact", x)
				}
			}()
			float16(x)
		}()
	}
}

// The merges are tried in order of rank, not from left to right.
func TestEncode(t *testing.T) {
	v := newVocabulary("_", []string{"a", "b", "c", "_"})
	for _, m := range [][2]string{{"b", "c"}, {"a", "b"}, {"_", "a"}} {
		v.rank[m] = len(v.merges)
		v.merges = append(v.merges, m)
	}
	for text, want := range map[string]string{"abc": "a|bc", "ab": "ab", " abc": "_a|bc", " ab": "_|ab", "": "", "cab": "c|ab"} {
		got := ""
		for i, p := range v.encode(text) {
			if i > 0 {
				got += "|"
			}
			got += p
		}
		if got != want {
			t.Errorf("encode(%q) = %s, wanted %s", text, got, want)
		}
	}
}
