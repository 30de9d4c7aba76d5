package arch

import "slices"

// Family is what is known of a family of models, all of one model_type, beside its forward pass.
type Family struct {
	Type   string // model_type of config.json
	Name   string // what its models are called together, with those of kindred families: "Gemma"
	Models string // the published models that are of it
	// Classifier is how transformers calls it in the name of its class for sequence
	// classification, ClassifierForSequenceClassification; "" where transformers has none.
	Classifier string
	// Pad is the pad_token_id of its config class in transformers (4.43 to 5.23,
	// configuration_*.py) for a config.json that leaves it out; nil for none.
	Pad *int32
	// Mixture: its blocks, or some of them, are mixtures of experts. Of these no other matrices
	// can be trained than those of attention.
	Mixture bool
	// Recurrent names the recurrences that its blocks, or some of them, have in the place of
	// attention or beside it; "" for none.
	Recurrent string
	// Mixed: its blocks are mixtures in some of its models alone.
	Mixed bool
	// AttentionAlone: some of its models have no block with what Recurrent says.
	AttentionAlone bool
	// As is the model_type under which transformers knows its models, which come with code of their own;
	// "" for Type.
	As string
	// Wrapper: texts need the text part alone (text_config) of its multimodal checkpoints.
	Wrapper bool

	build build
}

// build makes a Model of a config; exists tells which tensors the checkpoint holds, for families
// that were published under several names.
type build func(c *config, exists func(name string) bool) *Model

// families are those that New accepts, sorted by type.
var families = []Family{
	{Type: "apertus", Name: "Apertus", Models: "Apertus", Pad: new(int32(3)), build: apertus},
	{Type: "arcee", Name: "AFM", Models: "AFM", Classifier: "Arcee", build: arcee},
	{Type: "bamba", Name: "Bamba", Models: "Bamba 9B", Recurrent: "Mamba 2", Pad: new(int32(0)), build: bamba},
	{Type: "bloom", Name: "BLOOM", Models: "BLOOM, BLOOMZ", Classifier: "Bloom", build: bloom},
	{Type: "cohere", Name: "Command", Models: "Command R, Aya 23", Pad: new(int32(0)), build: cohere},
	{Type: "cohere2", Name: "Command", Models: "Command R7B, Command A", Pad: new(int32(0)), build: cohere2},
	{Type: "deepseek_v2", Name: "DeepSeek", Models: "DeepSeek-V2, V2-Lite", Classifier: "DeepseekV2", Mixture: true, build: deepseekV2},
	{Type: "deepseek_v3", Name: "DeepSeek", Models: "DeepSeek-V3, R1, Moonlight", Classifier: "DeepseekV3", Mixture: true, build: deepseekV3},
	{Type: "ernie4_5", Name: "ERNIE", Models: "ERNIE 4.5, dense", Pad: new(int32(0)), build: ernie45},
	{Type: "ernie4_5_moe", Name: "ERNIE", Models: "ERNIE 4.5, mixtures", Pad: new(int32(0)), Mixture: true, build: ernie45MoE},
	{Type: "exaone4", Name: "EXAONE", Models: "EXAONE 4", Classifier: "Exaone4", build: exaone4},
	{Type: "falcon", Name: "Falcon", Models: "Falcon 7B, 40B, 180B, RW, Falcon 2", Classifier: "Falcon", build: falcon},
	{Type: "falcon_h1", Name: "Falcon-H1", Models: "Falcon-H1", Recurrent: "Mamba 2", Pad: new(int32(0)), build: falconH1},
	{Type: "gemma", Name: "Gemma", Models: "Gemma 1", Classifier: "Gemma", Pad: new(int32(0)), build: gemma},
	{Type: "gemma2", Name: "Gemma", Models: "Gemma 2", Classifier: "Gemma2", Pad: new(int32(0)), build: gemma2},
	{Type: "gemma3", Name: "Gemma", Models: "Gemma 3 with images", Classifier: "Gemma3", Pad: new(int32(0)), Wrapper: true, build: gemma3},
	{Type: "gemma3_text", Name: "Gemma", Models: "Gemma 3, text alone", Classifier: "Gemma3Text", Pad: new(int32(0)), build: gemma3Text},
	{Type: "gemma3n", Name: "Gemma", Models: "Gemma 3n E2B, E4B", Pad: new(int32(0)), Wrapper: true, build: gemma3n},
	{Type: "gemma3n_text", Name: "Gemma", Models: "Gemma 3n E2B, E4B, text alone", Pad: new(int32(0)), build: gemma3nText},
	{Type: "gemma4", Name: "Gemma", Models: "Gemma 4 E2B, E4B, 31B, 26B-A4B", Pad: new(int32(0)), Mixed: true, Wrapper: true, build: gemma4},
	{Type: "gemma4_text", Name: "Gemma", Models: "Gemma 4 E2B, E4B, 31B, 26B-A4B, text alone", Pad: new(int32(0)), Mixed: true, build: gemma4Text},
	{Type: "gemma4_unified", Name: "Gemma", Models: "Gemma 4 12B", Pad: new(int32(0)), Wrapper: true, build: gemma4Unified},
	{Type: "gemma4_unified_text", Name: "Gemma", Models: "Gemma 4 12B, text alone", Pad: new(int32(0)), build: gemma4UnifiedText},
	{Type: "glm", Name: "GLM", Models: "GLM-4-9B (2024)", Classifier: "Glm", Pad: new(int32(151329)), build: glm},
	{Type: "glm4", Name: "GLM", Models: "GLM-4-0414", Classifier: "Glm4", Pad: new(int32(151329)), build: glm4},
	{Type: "glm4_moe", Name: "GLM", Models: "GLM-4.5, 4.5-Air, 4.6, 4.7", Mixture: true, build: glm4MoE},
	{Type: "gpt2", Name: "GPT-2", Models: "GPT-2", Classifier: "GPT2", build: gpt2},
	{Type: "gpt_neo", Name: "GPT-Neo", Models: "GPT-Neo, TinyStories", Classifier: "GPTNeo", build: gptNeo},
	{Type: "gpt_neox", Name: "Pythia", Models: "Pythia", Classifier: "GPTNeoX", build: gptNeoX},
	{Type: "gpt_oss", Name: "GPT-OSS", Models: "GPT-OSS", Classifier: "GptOss", Mixture: true, build: gptOSS},
	{Type: "gptj", Name: "GPT-J", Models: "GPT-J", Classifier: "GPTJ", build: gptJ},
	{Type: "granite", Name: "Granite", Models: "Granite 3", build: granite},
	{Type: "granitemoe", Name: "Granite", Models: "Granite 3 MoE", Mixture: true, build: graniteMoE},
	{Type: "granitemoehybrid", Name: "Granite", Models: "Granite 4", Recurrent: "Mamba 2", Mixed: true, AttentionAlone: true, build: graniteHybrid},
	{Type: "helium", Name: "Helium", Models: "Helium 1", Classifier: "Helium", Pad: new(int32(3)), build: helium},
	{Type: "hunyuan_v1_dense", Name: "HunYuan", Models: "HunYuan 0.5B to 7B", Classifier: "HunYuanDenseV1", Pad: new(int32(0)), build: hunyuanDense},
	{Type: "hunyuan_v1_moe", Name: "HunYuan", Models: "Hunyuan-A13B", Classifier: "HunYuanMoEV1", Pad: new(int32(0)), Mixture: true, build: hunyuanMoE},
	{Type: "kimi_k2", Name: "Kimi", Models: "Kimi K2", As: "deepseek_v3", Mixture: true, build: deepseekV3},
	{Type: "llama", Name: "Llama", Models: "Llama 2, 3, 3.1, 3.2, 3.3, SmolLM2", Classifier: "Llama", build: llama},
	{Type: "llama4", Name: "Llama", Models: "Llama 4 Scout, Maverick", Mixture: true, Wrapper: true, build: llama4},
	{Type: "llama4_text", Name: "Llama", Models: "Llama 4, text alone", Mixture: true, build: llama4Text},
	{Type: "ministral", Name: "Mistral", Models: "Ministral 8B (2024)", Classifier: "Ministral", build: ministral},
	{Type: "ministral3", Name: "Mistral", Models: "Ministral 3, text alone", Classifier: "Ministral3", Pad: new(int32(11)), build: ministral3},
	{Type: "mistral", Name: "Mistral", Models: "Mistral 7B, Nemo", Classifier: "Mistral", build: mistral},
	{Type: "mistral3", Name: "Mistral", Models: "Mistral Small 3.1, Ministral 3", Wrapper: true, build: mistral3},
	{Type: "mixtral", Name: "Mistral", Models: "Mixtral", Classifier: "Mixtral", Mixture: true, build: mixtral},
	{Type: "mpt", Name: "MPT", Models: "MPT 7B, 30B", Classifier: "Mpt", build: mpt},
	{Type: "nemotron", Name: "Nemotron", Models: "Nemotron 3 and 4, Minitron", Classifier: "Nemotron", build: nemotron},
	{Type: "nemotron_h", Name: "Nemotron", Models: "Nemotron-H, Nano 2, 3 Nano, 3 Super", Recurrent: "Mamba 2", Pad: new(int32(0)), Mixed: true, build: nemotronH},
	{Type: "olmo", Name: "OLMo", Models: "OLMo 1", Classifier: "Olmo", Pad: new(int32(1)), build: olmo},
	{Type: "olmo2", Name: "OLMo", Models: "OLMo 2", Classifier: "Olmo2", Pad: new(int32(1)), build: olmo2},
	{Type: "olmo3", Name: "OLMo", Models: "OLMo 3", Classifier: "Olmo3", Pad: new(int32(1)), build: olmo3},
	{Type: "olmoe", Name: "OLMo", Models: "OLMoE", Pad: new(int32(1)), Mixture: true, build: olmoe},
	{Type: "opt", Name: "OPT", Models: "OPT, Galactica", Classifier: "OPT", Pad: new(int32(1)), build: opt},
	{Type: "phi", Name: "Phi", Models: "Phi 1, 1.5, 2", Classifier: "Phi", build: phi},
	{Type: "phi3", Name: "Phi", Models: "Phi 3, 3.5, 4, 4-mini", Classifier: "Phi3", Pad: new(int32(32000)), build: phi3},
	{Type: "phimoe", Name: "Phi", Models: "Phi-3.5-MoE, Phi-mini-MoE, Phi-tiny-MoE", Classifier: "Phimoe", Mixture: true, build: phimoe},
	{Type: "qwen2", Name: "Qwen", Models: "Qwen 2, 2.5", Classifier: "Qwen2", build: qwen2},
	{Type: "qwen2_moe", Name: "Qwen", Models: "Qwen 1.5 and 2 MoE", Classifier: "Qwen2Moe", Mixture: true, build: qwen2MoE},
	{Type: "qwen3", Name: "Qwen", Models: "Qwen 3", Classifier: "Qwen3", build: qwen3},
	{Type: "qwen3_5", Name: "Qwen", Models: "Qwen 3.5 and 3.6, dense", Classifier: "Qwen3_5", Recurrent: "gated delta nets", Wrapper: true, build: qwen35},
	{Type: "qwen3_5_moe", Name: "Qwen", Models: "Qwen 3.5 and 3.6 MoE", Recurrent: "gated delta nets", Mixture: true, Wrapper: true, build: qwen35MoE},
	{Type: "qwen3_5_moe_text", Name: "Qwen", Models: "Qwen 3.5 and 3.6 MoE, text alone", Recurrent: "gated delta nets", Mixture: true, build: qwen35MoEText},
	{Type: "qwen3_5_text", Name: "Qwen", Models: "Qwen 3.5 and 3.6, dense, text alone", Classifier: "Qwen3_5Text", Recurrent: "gated delta nets", build: qwen35Text},
	{Type: "qwen3_moe", Name: "Qwen", Models: "Qwen 3 MoE", Classifier: "Qwen3Moe", Mixture: true, build: qwen3MoE},
	{Type: "qwen3_next", Name: "Qwen", Models: "Qwen 3 Next", Classifier: "Qwen3Next", Recurrent: "gated delta nets", Mixture: true, build: qwen3Next},
	{Type: "seed_oss", Name: "Seed", Models: "Seed-OSS", Classifier: "SeedOss", Pad: new(int32(1)), build: seedOSS},
	{Type: "smollm3", Name: "SmolLM", Models: "SmolLM3", Classifier: "SmolLM3", Pad: new(int32(128004)), build: smollm3},
	{Type: "stablelm", Name: "StableLM", Models: "StableLM 3B, 2", Classifier: "StableLm", build: stableLM},
	{Type: "starcoder2", Name: "StarCoder", Models: "StarCoder 2", Classifier: "Starcoder2", build: starcoder2},
}

// Families are those that New accepts, sorted by type.
func Families() []Family { return slices.Clone(families) }

// FamilyOf returns the family of a model_type; ok is false where there is none.
func FamilyOf(modelType string) (f Family, ok bool) {
	i := slices.IndexFunc(families, func(f Family) bool { return f.Type == modelType })
	if i < 0 {
		return Family{}, false
	}
	return families[i], true
}

// types are the model types that New accepts.
func types() []string {
	var all []string
	for _, f := range families {
		all = append(all, f.Type)
	}
	return all
}
