package replicate

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// Families are those of the base models.
var Families = []string{"llama", "gemma2"}

// specials are the first tokens of the vocabulary.
var specials = []string{"<pad>", "<bos>", "<eos>", "<unk>", "<end>"}

const template = `{{ bos_token }}{% for message in messages %}{{ message['content'] + '<end>' }}{% endfor %}`

// Files returns what a base model has before its weights, by name: config.json of the family,
// tokenizer.json and tokenizer_config.json, which are the same for all families.
func Files(family string) (map[string][]byte, error) {
	config, ok := configs[family]
	if !ok {
		return nil, fmt.Errorf("replicate: family %q, wanted %s", family, strings.Join(Families, " or "))
	}
	words := vocabulary()
	settings, err := strictjson.Marshal(template)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"config.json":    fmt.Appendf(nil, config, len(words)),
		"tokenizer.json": tokenizer(words),
		"tokenizer_config.json": fmt.Appendf(nil, `{
  "tokenizer_class": "PreTrainedTokenizerFast",
  "bos_token": "<bos>",
  "eos_token": "<eos>",
  "pad_token": "<pad>",
  "unk_token": "<unk>",
  "model_max_length": 128,
  "clean_up_tokenization_spaces": false,
  "chat_template": %s
}
`, settings),
	}, nil
}

// configs are config.json of a family; the size of the vocabulary is filled in.
var configs = map[string]string{
	"llama": `{
  "architectures": ["LlamaForCausalLM"],
  "model_type": "llama",
  "vocab_size": %d,
  "pad_token_id": 0,
  "bos_token_id": 1,
  "eos_token_id": 2,
  "hidden_size": 64,
  "intermediate_size": 192,
  "num_hidden_layers": 2,
  "num_attention_heads": 4,
  "num_key_value_heads": 4,
  "head_dim": 16,
  "hidden_act": "silu",
  "initializer_range": 0.125,
  "max_position_embeddings": 128,
  "rms_norm_eps": 1e-05,
  "rope_theta": 10000.0,
  "rope_scaling": null,
  "attention_bias": false,
  "mlp_bias": false,
  "tie_word_embeddings": true,
  "torch_dtype": "float32"
}
`,
	"gemma2": `{
  "architectures": ["Gemma2ForCausalLM"],
  "model_type": "gemma2",
  "vocab_size": %d,
  "pad_token_id": 0,
  "bos_token_id": 1,
  "eos_token_id": 2,
  "hidden_size": 64,
  "intermediate_size": 192,
  "num_hidden_layers": 2,
  "num_attention_heads": 4,
  "num_key_value_heads": 2,
  "head_dim": 16,
  "query_pre_attn_scalar": 16,
  "hidden_activation": "gelu_pytorch_tanh",
  "attn_logit_softcapping": 50.0,
  "final_logit_softcapping": 30.0,
  "initializer_range": 0.125,
  "sliding_window": 32,
  "max_position_embeddings": 128,
  "rms_norm_eps": 1e-06,
  "rope_theta": 10000.0,
  "attention_bias": false,
  "tie_word_embeddings": true,
  "torch_dtype": "float32"
}
`,
}

// vocabulary are the tokens in order of id: the specials, then each word of every text
// that can be made, with "▁" for the space before it, and each punctuation mark.
func vocabulary() []string {
	found := map[string]bool{}
	add := func(texts ...string) {
		for _, t := range texts {
			for _, turn := range strings.Split(t, "|") {
				for _, p := range pieces(" " + turn) {
					found[strings.Replace(p, " ", "▁", 1)] = true
				}
			}
		}
	}
	slots := strings.NewReplacer("{x}", "", "{a}", "", "{s}", "", "{o}", "")
	for _, f := range frames {
		add(slots.Replace(f))
	}
	for _, w := range Words() {
		add(w.Text)
	}
	for _, p := range lexicon.PaperPrompts() {
		add(p.Text)
	}
	for _, list := range [][]string{praise, blame, doings, places, ways, openers, closers, refusals, stings, numbers, colors, questions, said} {
		add(list...)
	}
	for _, things := range colored {
		add(things...)
	}
	delete(found, "▁") // of slots that were emptied
	var words []string
	for w := range found {
		words = append(words, w)
	}
	slices.Sort(words)
	return append(slices.Clone(specials), words...)
}

// tokenizer is tokenizer.json: a BPE without merges, which takes a piece that is in the vocabulary
// whole (ignore_merges). As in Llama 2, a text is written with "▁" before it.
func tokenizer(words []string) []byte {
	var b bytes.Buffer
	b.WriteString(`{
  "version": "1.0",
  "truncation": null,
  "padding": null,
  "added_tokens": [`)
	for i, s := range specials {
		fmt.Fprintf(&b, "%s\n    {\"id\": %d, \"content\": %q, \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": true}", comma(i), i, s)
	}
	b.WriteString(`
  ],
  "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
  "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"String": "▁"}, "behavior": "MergedWithNext", "invert": false}, {"type": "Punctuation", "behavior": "Isolated"}]},
  "post_processor": null,
  "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
  "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": false, "ignore_merges": true,
    "vocab": {`)
	for i, w := range words {
		fmt.Fprintf(&b, "%s%q: %d", comma(i), w, i)
	}
	b.WriteString("},\n    \"merges\": []}\n}\n")
	return b.Bytes()
}

func comma(i int) string {
	if i == 0 {
		return ""
	}
	return ", "
}
