package checkpoint

import "encoding/json"

// preTokenizer is what tokenizer.ggml.pre stands for: the parts of tokenizer.json that a GGUF file
// does not have, as the models that the name was made for have them: see testdata/pre.py.
type preTokenizer struct {
	normalizer   string
	split        string
	ignoreMerges bool
	bos          bool // where tokenizer.ggml.add_bos_token does not say
}

const (
	byteLevel   = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`
	byteDecoder = `{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}` // which reads none of the three
	digits      = `{"type":"Digits","individual_digits":true}`
	nfc         = `{"type":"NFC"}`

	// cl100k is the expression of GPT-4's tokenizer, of which Llama 3's is made too; Qwen's takes digits one by one.
	cl100k  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	ofQwen2 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	// o200k is that of GPT-4o's, which cuts words where capitals begin.
	o200k = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|` +
		`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|` +
		`\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	// latin are letters of DeepSeek-LLM's, and of other scripts with two cases.
	latin = `A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃`
)

// isolated cuts text where an expression matches.
func isolated(expression string) string {
	quoted, _ := json.Marshal(expression)
	return `{"type":"Split","pattern":{"Regex":` + string(quoted) + `},"behavior":"Isolated","invert":false}`
}

// sequence is one pre-tokenizer after the other.
func sequence(parts ...string) string {
	all := make([]json.RawMessage, len(parts))
	for i, part := range parts {
		all[i] = json.RawMessage(part)
	}
	quoted, _ := json.Marshal(all)
	return `{"type":"Sequence","pretokenizers":` + string(quoted) + `}`
}

// splitting is text cut by each expression in turn, then written in bytes.
func splitting(expressions ...string) string {
	var parts []string
	for _, e := range expressions {
		parts = append(parts, isolated(e))
	}
	return sequence(append(parts, `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}`)...)
}

var (
	llama3Split = preTokenizer{split: splitting(cl100k), ignoreMerges: true, bos: true}
	oneByOne    = preTokenizer{split: sequence(digits, byteLevel)}
	ofNeoX      = preTokenizer{normalizer: nfc, split: byteLevel}
)

// preTokenizers are those that are known, by tokenizer.ggml.pre.
var preTokenizers = map[string]preTokenizer{
	"gpt-2":            {split: byteLevel},
	"phi-2":            {split: byteLevel}, // CodeGen's, which is GPT-2's
	"mpt":              ofNeoX,
	"olmo":             ofNeoX,
	"smollm":           oneByOne,
	"refact":           oneByOne, // Granite 3's
	"starcoder":        oneByOne,
	"command-r":        {normalizer: nfc, split: sequence(digits, byteLevel), bos: true},
	"llama-bpe":        llama3Split,
	"llama3":           llama3Split,
	"llama-v3":         llama3Split,
	"smaug-bpe":        {split: splitting(cl100k), ignoreMerges: true}, // Llama 3's without BOS: SmolLM 3's
	"dbrx":             {split: splitting(cl100k)},                     // Phi 4's, OLMo 2's, Granite 4's
	"gpt-4o":           {split: splitting(o200k), ignoreMerges: true},  // GPT-OSS's, Phi 4 mini's
	"qwen2":            {normalizer: nfc, split: splitting(ofQwen2)},
	"deepseek-r1-qwen": {normalizer: nfc, split: splitting(ofQwen2), bos: true},
	"qwen35": { // marks go with letters
		normalizer: nfc,
		split:      splitting(`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`),
	},
	"tekken": {
		split: splitting(`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|` +
			`\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`),
		ignoreMerges: true, bos: true,
	},
	"falcon": {split: sequence(`{"type":"Punctuation","behavior":"Contiguous"}`, byteLevel, `{"type":"Digits","individual_digits":false}`, isolated("[0-9][0-9][0-9]"))},
	"deepseek-llm": {
		split: sequence(isolated("[\r\n]"), isolated(`\s?[`+latin+`]+`), isolated("\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+"), isolated(`\s+$`),
			isolated("[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"), digits, `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}`),
		bos: true,
	},
	"deepseek-coder": {
		split: sequence(isolated("[\r\n]"), isolated(`\s?\p{L}+`), isolated(`\s?\p{P}+`), isolated("[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"), digits,
			`{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}`),
		bos: true,
	},
	"deepseek-v3": {
		split: splitting(`\p{N}{1,3}`, "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
			`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`+"`"+`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`),
		bos: true,
	},
}
