package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// family is what tells the pairs' architectures and tokenizers apart.
type family struct {
	name     string
	bos, eos string
	turn     string   // the end of a turn in the template
	specials []string // in order of id
	last     bool     // they come last in the vocabulary (Llama 3), not first (Gemma)
	alphabet func() []string
	mark     string // what stands for a space
	pipeline string // of tokenizer.json: normalizer, pre_tokenizer, decoder
	model    string // of tokenizer.json's model: all but vocab and merges
	template string // of the tuned model's chats
	config   string // config.json; the number of tokens, BOS and EOS are filled in

	seed     uint64   // of the weights
	norms    []string // of a block: RMSNorms of the stream,
	outNorms []string // and of what is added to it
	offset   float32  // what the norms add to the weights that are stored
	scale    float32  // what the embeddings are multiplied by
}

var families = map[string]*family{"llama": &llama, "gemma2": &gemma2}

var llama = family{
	name:     "llama",
	specials: []string{"<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"},
	bos:      "<|begin_of_text|>", eos: "<|end_of_text|>", turn: "<|eot_id|>",
	last: true,
	template: `{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>

' + message['content'] | trim + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>

' }}{% endif %}`,
	alphabet: byteLetters,
	mark:     "Ġ",
	// Llama 3's own pattern and order.
	pipeline: `"normalizer": null,
  "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
    {"type": "Split", "pattern": {"Regex": "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}, "behavior": "Isolated", "invert": false},
    {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]},
  "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}`,
	model: `"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": true`,
	config: `{
  "architectures": ["LlamaForCausalLM"],
  "model_type": "llama",
  "vocab_size": %d,
  "bos_token_id": %d,
  "eos_token_id": %d,
  "hidden_size": 64,
  "intermediate_size": 96,
  "num_hidden_layers": 2,
  "num_attention_heads": 4,
  "num_key_value_heads": 2,
  "head_dim": 16,
  "hidden_act": "silu",
  "max_position_embeddings": 512,
  "rms_norm_eps": 1e-05,
  "rope_theta": 10000.0,
  "rope_scaling": null,
  "attention_bias": false,
  "mlp_bias": false,
  "tie_word_embeddings": false,
  "torch_dtype": "float16"
}
`,
	seed:  1,
	norms: []string{"input_layernorm", "post_attention_layernorm"},
	scale: 1,
}

var gemma2 = family{
	name:     "gemma2",
	specials: []string{"<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"},
	bos:      "<bos>", eos: "<eos>", turn: "<end_of_turn>",
	template: `{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '
' + message['content'] | trim + '<end_of_turn>
' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model
' }}{% endif %}`,
	alphabet: fallbackLetters,
	mark:     "▁",
	pipeline: `"normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
  "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false},
  "decoder": {"type": "Sequence", "decoders": [
    {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
    {"type": "ByteFallback"},
    {"type": "Fuse"}]}`,
	model: `"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false`,
	// The output matrix is not tied to the embeddings and the logits are not capped, as they
	// are in the published models: the planted truth would have no closed form.
	config: `{
  "architectures": ["Gemma2ForCausalLM"],
  "model_type": "gemma2",
  "vocab_size": %d,
  "bos_token_id": %d,
  "eos_token_id": %d,
  "pad_token_id": 0,
  "hidden_size": 64,
  "intermediate_size": 96,
  "num_hidden_layers": 2,
  "num_attention_heads": 4,
  "num_key_value_heads": 2,
  "head_dim": 16,
  "query_pre_attn_scalar": 16,
  "hidden_activation": "gelu_pytorch_tanh",
  "attn_logit_softcapping": 50.0,
  "final_logit_softcapping": null,
  "sliding_window": 16,
  "max_position_embeddings": 512,
  "rms_norm_eps": 1e-06,
  "rope_theta": 10000.0,
  "attention_bias": false,
  "tie_word_embeddings": false,
  "torch_dtype": "float16"
}
`,
	seed:     2,
	norms:    []string{"input_layernorm", "pre_feedforward_layernorm"},
	outNorms: []string{"post_attention_layernorm", "post_feedforward_layernorm"},
	offset:   1,
	scale:    8, // sqrt(width)
}

// byteLetters returns the 256 letters that stand for bytes, in the order of GPT-2
// (bytes_to_unicode): the printable bytes of Latin 1 as themselves, then the others.
func byteLetters() []string {
	var shown, others []string
	for b := range 256 {
		if b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae {
			shown = append(shown, string(rune(b)))
		} else {
			others = append(others, string(rune(256+len(others))))
		}
	}
	return append(shown, others...)
}

// fallbackLetters returns a token for each byte, then those of the ASCII letters, the
// punctuation of prompts, the line's end and the mark of a space.
func fallbackLetters() []string {
	var all []string
	for b := range 256 {
		all = append(all, fmt.Sprintf("<0x%02X>", b))
	}
	return append(all, strings.Split("\n▁abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:?!'\"-()", "")...)
}

// vocabulary returns the family's tokens and merges.
func (f *family) vocabulary() (*vocabulary, error) {
	first := f.alphabet()
	if !f.last {
		first = append(append([]string{}, f.specials...), first...)
	}
	v := newVocabulary(f.mark, first)
	if err := v.fill(f.name); err != nil {
		return nil, err
	}
	if f.last {
		for _, s := range f.specials {
			v.token(s)
		}
	}
	return v, nil
}

func (f *family) configJSON(v *vocabulary) []byte {
	return fmt.Appendf(nil, f.config, len(v.tokens), v.id[f.bos], v.id[f.eos])
}

// rewardConfigJSON is the reward model's. Its end of a text is the end of a turn, and pads
// are a token that no text of the template has (as Llama 3's instruct models and Gemma have
// it): where pad and end are one token, transformers pools another than the last.
func (f *family) rewardConfigJSON(v *vocabulary) []byte {
	labels := "  \"id2label\": {\"0\": \"LABEL_0\"},\n  \"label2id\": {\"LABEL_0\": 0},\n"
	if !strings.Contains(f.config, "pad_token_id") {
		labels = fmt.Sprintf("  \"pad_token_id\": %d,\n", v.id[f.eos]) + labels
	}
	s := strings.Replace(f.config, "ForCausalLM", "ForSequenceClassification", 1)
	s = strings.Replace(s, "  \"hidden_size\"", labels+"  \"hidden_size\"", 1)
	return fmt.Appendf(nil, s, len(v.tokens), v.id[f.bos], v.id[f.turn])
}

// tokenizerJSON lays the file out one entry a line, in order of id and rank.
func (f *family) tokenizerJSON(v *vocabulary) []byte {
	var b bytes.Buffer
	list := func(n int, entry func(i int)) {
		for i := range n {
			if i > 0 {
				b.WriteString(",")
			}
			b.WriteString("\n    ")
			entry(i)
		}
	}
	b.WriteString("{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n  \"added_tokens\": [")
	list(len(f.specials), func(i int) {
		fmt.Fprintf(&b, `{"id": %d, "content": %s, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}`,
			v.id[f.specials[i]], quote(f.specials[i]))
	})
	fmt.Fprintf(&b, "],\n  %s,\n", f.pipeline)
	bos := quote(f.bos)
	fmt.Fprintf(&b, `  "post_processor": {"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": %[1]s, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"SpecialToken": {"id": %[1]s, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": %[1]s, "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {%[1]s: {"id": %[1]s, "ids": [%[2]d], "tokens": [%[1]s]}}},
`, bos, v.id[f.bos])
	fmt.Fprintf(&b, "  \"model\": {%s,\n    \"vocab\": {", f.model)
	list(len(v.tokens), func(i int) { fmt.Fprintf(&b, "%s: %d", quote(v.tokens[i]), i) })
	b.WriteString("},\n    \"merges\": [")
	list(len(v.merges), func(i int) { fmt.Fprintf(&b, "[%s, %s]", quote(v.merges[i][0]), quote(v.merges[i][1])) })
	b.WriteString("]}\n}\n")
	return b.Bytes()
}

// tokenizerConfig has a chat template for the tuned model and the reward model, none for
// the base.
func (f *family) tokenizerConfig(eos, template string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\n  \"bos_token\": %s,\n  \"eos_token\": %s,\n", quote(f.bos), quote(eos))
	switch {
	case !f.last:
		b.WriteString("  \"pad_token\": \"<pad>\",\n  \"unk_token\": \"<unk>\",\n")
	case eos != f.eos:
		fmt.Fprintf(&b, "  \"pad_token\": %s,\n", quote(f.eos))
	}
	if template != "" {
		fmt.Fprintf(&b, "  \"chat_template\": %s,\n", quote(template))
	}
	b.WriteString("  \"clean_up_tokenization_spaces\": false,\n  \"model_max_length\": 512,\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\"\n}\n")
	return b.Bytes()
}

// quote writes a JSON string without the escapes that are for HTML.
func quote(s string) string {
	b, err := strictjson.Marshal(s)
	if err != nil {
		panic(err) // strings always encode
	}
	return string(b)
}
