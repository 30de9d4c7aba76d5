package checkpoint

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ggufOf writes a GGUF file: metadata (a string, a number, a bool, or a list) and tensors
// of type F32 unless kinds has another, all zero.
func ggufOf(keys map[string]any, shapes map[string][]int, kinds map[string]uint32) string {
	b := []byte("GGUF")
	u32 := func(x uint32) { b = binary.LittleEndian.AppendUint32(b, x) }
	u64 := func(x int) { b = binary.LittleEndian.AppendUint64(b, uint64(x)) }
	text := func(s string) { u64(len(s)); b = append(b, s...) }
	u32(3)
	u64(len(shapes))
	u64(len(keys))
	for _, key := range sortedKeys(keys) {
		text(key)
		switch v := keys[key].(type) {
		case string:
			u32(ggufString)
			text(v)
		case bool:
			u32(ggufBool)
			b = append(b, map[bool]byte{true: 1}[v])
		case int:
			u32(4)
			u32(uint32(v))
		case float64:
			u32(ggufFloat32)
			u32(math.Float32bits(float32(v)))
		case []string:
			u32(ggufArray)
			u32(ggufString)
			u64(len(v))
			for _, s := range v {
				text(s)
			}
		case []int32:
			u32(ggufArray)
			u32(5)
			u64(len(v))
			for _, x := range v {
				u32(uint32(x))
			}
		case []float32:
			u32(ggufArray)
			u32(ggufFloat32)
			u64(len(v))
			for _, x := range v {
				u32(math.Float32bits(x))
			}
		}
	}
	end := 0
	for _, name := range sortedKeys(shapes) {
		text(name)
		u32(uint32(len(shapes[name])))
		n := 1
		for _, size := range shapes[name] { // the last axis first, as the format has it
			u64(size)
			n *= size
		}
		u32(kinds[name])
		u64(end)
		of := blocks[kinds[name]]
		if of.elements > 0 {
			end += (n/of.elements*of.bytes + 31) / 32 * 32
		}
	}
	for len(b)%32 != 0 {
		b = append(b, 0)
	}
	return string(append(b, make([]byte, end)...))
}

// tiny is a llama of one block without any but the embeddings' and the norms' tensors.
func tiny() (map[string]any, map[string][]int) {
	return map[string]any{
			"general.architecture": "llama", "llama.block_count": 1, "llama.attention.head_count": 2, "llama.embedding_length": 32,
			"llama.feed_forward_length": 64, "llama.context_length": 16, "llama.attention.layer_norm_rms_epsilon": 1e-5, "tokenizer.ggml.model": "llama",
		}, map[string][]int{
			"token_embd.weight": {32, 3}, "output_norm.weight": {32}, "blk.0.attn_q.weight": {32, 32},
		}
}

// mixture is a GPT-OSS of one block with its experts alone.
func mixture() (map[string]any, map[string][]int) {
	return map[string]any{
			"general.architecture": "gpt-oss", "gpt-oss.block_count": 1, "gpt-oss.attention.head_count": 2, "gpt-oss.embedding_length": 64, "gpt-oss.feed_forward_length": 32,
			"gpt-oss.context_length": 16, "gpt-oss.attention.layer_norm_rms_epsilon": 1e-5, "gpt-oss.attention.sliding_window": 8, "gpt-oss.expert_count": 2,
			"gpt-oss.expert_used_count": 1, "gpt-oss.expert_feed_forward_length": 32, "gpt-oss.rope.scaling.type": "yarn", "gpt-oss.rope.scaling.factor": 4.0,
			"gpt-oss.rope.scaling.original_context_length": 8,
		}, map[string][]int{
			"token_embd.weight": {64, 3}, "output_norm.weight": {64}, "blk.0.ffn_gate_exps.weight": {64, 32, 2}, "blk.0.ffn_up_exps.weight": {64, 32, 2},
			"blk.0.ffn_down_exps.weight": {32, 64, 2}, "blk.0.ffn_gate_exps.bias": {32, 2}, "blk.0.ffn_up_exps.bias": {32, 2},
		}
}

// TestGGUFJoins: of the tensors that one in the model is made of, all are there, and of one shape.
func TestGGUFJoins(t *testing.T) {
	for want, change := range map[string]func(map[string][]int){
		`tensor "blk.0.ffn_gate_exps.weight": no tensor "blk.0.ffn_up_exps.weight" beside it`:        func(s map[string][]int) { delete(s, "blk.0.ffn_up_exps.weight") },
		`tensor "blk.0.ffn_gate_exps.bias": shape [2 31] beside [2 32], wanted 2 axes, the same`:     func(s map[string][]int) { s["blk.0.ffn_up_exps.bias"] = []int{31, 2} },
		`tensor "blk.0.ffn_down_exps.weight": shape [64 32] beside [64 32], wanted 3 axes, the same`: func(s map[string][]int) { s["blk.0.ffn_down_exps.weight"] = []int{32, 64} },
		`gpt-oss: not supported: no tensor blk.0.ffn_gate_exps.weight`:                               func(s map[string][]int) { delete(s, "blk.0.ffn_gate_exps.weight") },
	} {
		keys, shapes := mixture()
		change(shapes)
		wantRefused(t, ggufOf(keys, shapes, nil), want)
	}
}

// TestGGUFRefused: what does not fit, or is not computed, is one line that names it.
func TestGGUFRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(keys map[string]any, shapes map[string][]int, kinds map[string]uint32)
		want   string
	}{
		"family": {func(k map[string]any, _ map[string][]int, _ map[string]uint32) { k["general.architecture"] = "mamba" }, `general.architecture "mamba", wanted one of `},
		"unread": {func(k map[string]any, _ map[string][]int, _ map[string]uint32) {
			k["general.architecture"] = "deepseek2"
		}, `general.architecture "deepseek2": not supported: of this family checkpoints in safetensors alone are read`},
		"unsaid":  {func(k map[string]any, _ map[string][]int, _ map[string]uint32) { k["general.architecture"] = "phimoe" }, `general.architecture "phimoe": not supported: the file does not say by what rotary positions`},
		"setting": {func(k map[string]any, _ map[string][]int, _ map[string]uint32) { k["llama.logit_scale"] = 8 }, `llama: not supported: "llama.logit_scale"=8`},
		"scaling": {func(k map[string]any, _ map[string][]int, _ map[string]uint32) { k["llama.rope.scaling.type"] = "su" }, `rope.scaling.type="su"`},
		"part":    {func(k map[string]any, _ map[string][]int, _ map[string]uint32) { k["split.count"] = 2 }, `split.count=2: one of several files`},
		"missing": {func(k map[string]any, _ map[string][]int, _ map[string]uint32) { delete(k, "llama.block_count") }, `"llama.block_count" is missing, wanted a whole number from 1`},
		"text":    {func(k map[string]any, _ map[string][]int, _ map[string]uint32) { k["llama.context_length"] = "long" }, `"llama.context_length" is "long", wanted a number`},
		"rotated": {func(k map[string]any, _ map[string][]int, _ map[string]uint32) { k["llama.rope.dimension_count"] = 8 }, `"llama.rope.dimension_count"=8, wanted 16`},
		"tensor":  {func(_ map[string]any, s map[string][]int, _ map[string]uint32) { s["blk.0.ssm_a.weight"] = []int{2} }, `tensor "blk.0.ssm_a.weight": which llama has no place for`},
		"heads": {func(_ map[string]any, s map[string][]int, _ map[string]uint32) {
			s["blk.0.attn_q.weight"] = []int{32, 6}
		}, `6 rows, wanted an even number for each of 2 heads`},
		"type": {func(_ map[string]any, _ map[string][]int, k map[string]uint32) { k["token_embd.weight"] = 19 }, `tensor "token_embd.weight": of type IQ1_S, wanted one of F32, F16`},
		"row":  {func(_ map[string]any, _ map[string][]int, k map[string]uint32) { k["token_embd.weight"] = 12 }, `shape [3 32] of Q4_K, wanted a multiple of 256`},
		"huge": {func(_ map[string]any, s map[string][]int, _ map[string]uint32) {
			s["token_embd.weight"] = []int{1 << 30, 1 << 30, 1 << 30}
		}, `more than the file holds`},
		"experts of old": {func(k map[string]any, _ map[string][]int, _ map[string]uint32) {
			k["llama.expert_count"], k["llama.expert_used_count"] = 8, 2
		}, `no tensor blk.0.ffn_gate_exps.weight, the gates of all experts`},
		"experts": {func(k map[string]any, s map[string][]int, _ map[string]uint32) {
			k["llama.expert_count"], k["llama.expert_used_count"], s["blk.0.ffn_gate_exps.weight"] = 8, 2, []int{32, 64, 7}
		}, `tensor "blk.0.ffn_gate_exps.weight": shape [7 64 32], wanted [8, outputs, inputs], of all experts`},
		"no table":  {func(_ map[string]any, s map[string][]int, _ map[string]uint32) { delete(s, "token_embd.weight") }, `no tensor token_embd.weight`},
		"alignment": {func(k map[string]any, _ map[string][]int, _ map[string]uint32) { k["general.alignment"] = 24 }, `general.alignment is 24, wanted a power of two`},
	} {
		t.Run(name, func(t *testing.T) {
			keys, shapes := tiny()
			kinds := map[string]uint32{}
			test.change(keys, shapes, kinds)
			wantRefused(t, ggufOf(keys, shapes, kinds), test.want)
		})
	}
	for arch := range ggufRefused {
		if _, ok := ggufFamilies[arch]; ok {
			t.Errorf("%s is read, and refused", arch)
		}
	}
	good := ggufOf(func() (map[string]any, map[string][]int, map[string]uint32) { k, s := tiny(); return k, s, nil }())
	for n := 0; n < len(good); n += 7 { // cut anywhere
		wantRefused(t, good[:n], "")
	}
	wantRefused(t, "GGUF\x01"+good[5:], "GGUF version 1, wanted 2 or 3")
	wantRefused(t, "JUNK"+good[4:], "does not begin with GGUF")
}

func wantRefused(t *testing.T, file, want string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := os.WriteFile(path, []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
	_, w, err := Open(path)
	if err == nil {
		w.Close()
		t.Fatalf("accepted, wanted %s", want)
	}
	if text := err.Error(); !strings.HasPrefix(text, "checkpoint: ") || strings.Contains(text, "\n") || !strings.Contains(text, want) {
		t.Errorf("%v\nwanted %s", err, want)
	}
}

// TestGGUFNames: a file means itself, and so does a folder whose only weights are one; the
// files beside it are those of its folder.
func TestGGUFNames(t *testing.T) {
	keys, shapes := tiny()
	file := ggufOf(keys, shapes, nil)
	dir := folder(t, map[string]string{"a[1].gguf": file, "tokenizer.json": "{}"})
	for _, name := range []string{dir, filepath.Join(dir, "a[1].gguf")} {
		config, w, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if string(config["model_type"]) != `"llama"` || string(config["tie_word_embeddings"]) != "true" || len(w.Names()) != 3 {
			t.Errorf("%s: %s, %q", name, config, w.Names())
		}
		if found, err := Find(t.Context(), name, nil); err != nil || found != name || Folder(name) != dir {
			t.Errorf("%s: found as %s, %v; its folder is %s", name, found, err, Folder(name))
		}
	}
	two := folder(t, map[string]string{"a.gguf": file, "b.gguf": file})
	if _, _, err := Open(two); err == nil || !strings.Contains(err.Error(), "2 files in llama.cpp's format (a.gguf, b.gguf), wanted one: name the file") {
		t.Errorf("two files: %v", err)
	}
}

// TestGGUFParts: a model in several files is that in one, named by its first file or by the folder;
// a part that is missing, is another's or is named in the place of the first is refused.
func TestGGUFParts(t *testing.T) {
	keys, shapes := tiny()
	names := sortedKeys(shapes)
	parts := func(change func(first, second map[string]any)) map[string]string {
		first, second := map[string]any{"split.no": 0, "split.count": 2, "split.tensors.count": len(shapes)}, map[string]any{"split.no": 1, "split.count": 2, "split.tensors.count": len(shapes)}
		for key, value := range keys {
			first[key] = value
		}
		change(first, second)
		a, b := map[string][]int{names[0]: shapes[names[0]]}, map[string][]int{}
		for _, name := range names[1:] {
			b[name] = shapes[name]
		}
		return map[string]string{"m-00001-of-00002.gguf": ggufOf(first, a, nil), "m-00002-of-00002.gguf": ggufOf(second, b, nil)}
	}
	whole := folder(t, map[string]string{"m.gguf": ggufOf(keys, shapes, nil)})
	split := folder(t, parts(func(_, _ map[string]any) {}))
	var hashes []string
	for _, name := range []string{whole, split, filepath.Join(split, "m-00001-of-00002.gguf")} {
		config, w, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		sum, err := w.Hash(t.Context())
		if err != nil || string(config["model_type"]) != `"llama"` || len(w.Names()) != len(shapes) {
			t.Errorf("%s: %s, %q, %v", name, config, w.Names(), err)
		}
		hashes = append(hashes, sum)
	}
	if hashes[1] != hashes[0] || hashes[2] != hashes[0] {
		t.Errorf("hashes %q, wanted the same", hashes)
	}
	if _, _, err := Open(filepath.Join(split, "m-00002-of-00002.gguf")); err == nil || !strings.Contains(err.Error(), "split.no=1, split.count=2: one of several files, wanted the first, and its name NAME-00001-of-00002.gguf") {
		t.Errorf("the second file: %v", err)
	}
	for name, test := range map[string]struct {
		change func(first, second map[string]any)
		want   string
	}{
		"another's":       {func(_, second map[string]any) { second["split.no"] = 0 }, `"split.no" is 0, wanted 1`},
		"of other number": {func(_, second map[string]any) { second["split.count"] = 3 }, `"split.count" is 3, wanted 2`},
		"without number":  {func(_, second map[string]any) { delete(second, "split.no") }, `no split.no, wanted 1`},
		"another model's": {func(_, second map[string]any) { second["llama.block_count"] = 7 }, `"llama.block_count" is 7, wanted 1`},
		"fewer tensors":   {func(first, second map[string]any) { first["split.tensors.count"], second["split.tensors.count"] = 9, 9 }, "split.tensors.count is 9, and the files have 3 tensors"},
		"no number":       {func(first, _ map[string]any) { first["split.count"] = "two" }, `split.count="two": one of several files`},
	} {
		if _, _, err := Open(folder(t, parts(test.change))); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, wanted %s", name, err, test.want)
		}
	}
	all := parts(func(_, _ map[string]any) {})
	for missing, want := range map[string]string{"m-00001-of-00002.gguf": "wanted the first of them", "m-00002-of-00002.gguf": "no such file"} {
		dir := folder(t, all)
		if err := os.Remove(filepath.Join(dir, missing)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Open(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without %s: %v, wanted %s", missing, err, want)
		}
	}
}

// FuzzGGUF opens any bytes as a file: no panic, and what is accepted can be read.
func FuzzGGUF(f *testing.F) {
	keys, shapes := tiny()
	f.Add([]byte(ggufOf(keys, shapes, nil)))
	f.Add([]byte(ggufOf(keys, shapes, map[string]uint32{"token_embd.weight": 2, "blk.0.attn_q.weight": 8})))
	maps.Copy(keys, tokenizerKeys(f, "../../tokenize/testdata/llama3", "llama-bpe"))
	maps.Copy(keys, map[string]any{"tokenizer.ggml.tokens": []string{"a", "b", "ab"}, "tokenizer.ggml.token_type": []int32{1, 1, 3}, "tokenizer.ggml.merges": []string{"a b"}})
	f.Add([]byte(ggufOf(keys, shapes, nil)))
	keys, shapes = delta()
	f.Add([]byte(ggufOf(keys, shapes, map[string]uint32{"blk.0.attn_qkv.weight": 6})))
	keys, shapes = tiny()
	keys["llama.expert_count"], keys["llama.expert_used_count"] = 2, 1
	shapes["blk.0.ffn_gate_exps.weight"], shapes["blk.0.ffn_down_exps.weight"] = []int{32, 4, 2}, []int{32, 4, 2}
	f.Add([]byte(ggufOf(keys, shapes, map[string]uint32{"blk.0.ffn_gate_exps.weight": 39, "blk.0.ffn_down_exps.weight": 20})))
	keys, shapes = mixture()
	f.Add([]byte(ggufOf(keys, shapes, map[string]uint32{"blk.0.ffn_gate_exps.weight": 39, "blk.0.ffn_up_exps.weight": 8, "blk.0.ffn_down_exps.weight": 39})))
	keys, shapes = denseOf("apertus", nil, nil)
	maps.Copy(keys, map[string]any{"xielu.alpha_p": []float32{1}, "xielu.alpha_n": []float32{1}, "xielu.beta": 0.5, "xielu.eps": -1e-6})
	f.Add([]byte(ggufOf(keys, shapes, nil)))
	keys, shapes = denseOf("stablelm", map[string]any{"attention.layer_norm_epsilon": 1e-5, "rope.dimension_count": 4}, map[string][]int{"blk.0.attn_q_norm.weight": {16, 2}})
	f.Add([]byte(ggufOf(keys, shapes, nil)))
	keys, shapes = denseOf("cohere2", map[string]any{"attention.layer_norm_epsilon": 1e-5, "logit_scale": 0.5, "attention.sliding_window": 8, "attention.sliding_window_pattern": []int32{1}}, nil)
	f.Add([]byte(ggufOf(keys, shapes, nil)))
	keys, shapes = denseOf("granitehybrid", map[string]any{
		"attention.scale": 1.0, "embedding_scale": 1.0, "residual_scale": 1.0, "logit_scale": 1.0, "attention.head_count_kv": []int32{0}, "ssm.inner_size": 64, "ssm.time_step_rank": 4,
		"ssm.group_count": 1, "ssm.state_size": 8, "ssm.conv_kernel": 4, "expert_shared_feed_forward_length": 16,
	}, map[string][]int{"blk.0.ssm_a": {1, 4}, "blk.0.ffn_gate.weight": {32, 16}, "blk.0.ffn_up.weight": {32, 16}})
	f.Add([]byte(ggufOf(keys, shapes, nil)))
	path := filepath.Join(f.TempDir(), "m.gguf")
	f.Fuzz(func(t *testing.T, file []byte) {
		if err := os.WriteFile(path, file, 0o644); err != nil {
			t.Fatal(err)
		}
		if files, err := Tokenizer(path); err != nil {
			holdError(t, err)
		} else if !json.Valid(files["tokenizer.json"]) || !json.Valid(files["tokenizer_config.json"]) {
			t.Errorf("files %q, wanted JSON", files)
		}
		_, w, err := Open(path)
		if err != nil {
			holdError(t, err)
			return
		}
		defer w.Close()
		for _, name := range w.Names() {
			tensor, _ := w.Get(name)
			holdTensor(t, name, tensor)
		}
		if _, err := w.Hash(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
