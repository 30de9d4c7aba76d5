package arch

import (
	"encoding/json"
	"testing"
)

// TestPublished: the keys of published configs, with small sizes, are accepted, those
// without influence among them.
func TestPublished(t *testing.T) {
	ll := `"architectures":["LlamaForCausalLM"],"attention_bias":false,"attention_dropout":0.0,"bos_token_id":1,"eos_token_id":2,"hidden_act":"silu","hidden_size":64,"initializer_range":0.02,"intermediate_size":64,"max_position_embeddings":4096,"model_type":"llama","num_attention_heads":4,"num_hidden_layers":2,"num_key_value_heads":2,"rms_norm_eps":1e-5,"tie_word_embeddings":false,"torch_dtype":"bfloat16","transformers_version":"4.40.0","use_cache":true,"vocab_size":100`
	for n, c := range map[string]string{
		"llama2":                    `{` + ll + `,"pretraining_tp":1,"rope_scaling":null,"_name_or_path":"x","max_length":4096,"pad_token_id":0}`,
		"llama3.1":                  `{` + ll + `,"mlp_bias":false,"rope_theta":500000.0,"rope_scaling":{"factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":2048,"rope_type":"llama3"}}`,
		"llama3.2":                  `{` + ll + `,"head_dim":64,"mlp_bias":false,"pretraining_tp":1}`,
		"smollm2":                   `{` + ll + `,"is_llama_config":true,"rope_interleaved":false,"transformers.js_config":{"kv_cache_dtype":{"q4f16":"float16"}},"_attn_implementation_autoset":true}`,
		"vicuna":                    `{` + ll + `,"max_sequence_length":2048,"rope_scaling":{"factor":4.0,"type":"linear"}}`,
		"yi":                        `{` + ll + `,"pad_token_id":0,"rope_theta":5000000.0}`,
		"falcon3":                   `{` + ll + `,"activation":"swiglu","head_dim":256,"rope_theta":1000042}`,
		"r1-llama":                  `{` + ll + `,"mlp_bias":false,"pretraining_tp":1}`,
		"nous-dynamic":              `{` + ll + `,"rope_scaling":{"factor":2.0,"type":"dynamic"}}`,
		"tulu3":                     `{` + ll + `,"mlp_bias":false,"pad_token_id":128256}`,
		"unsloth":                   `{` + ll + `,"unsloth_fixed":true,"unsloth_version":"2025"}`,
		"medusa-ish rope_theta int": `{` + ll + `,"rope_theta":1000000}`,
		"yarn-llama":                `{` + ll + `,"rope_scaling":{"factor":16.0,"original_max_position_embeddings":4096,"type":"yarn","finetuned":true}}`,
		"gpt2-medium":               `{"activation_function":"gelu_new","architectures":["GPT2LMHeadModel"],"attn_pdrop":0.1,"bos_token_id":50256,"embd_pdrop":0.1,"eos_token_id":50256,"initializer_range":0.02,"layer_norm_epsilon":1e-05,"model_type":"gpt2","n_ctx":64,"n_embd":64,"n_head":4,"n_layer":2,"n_positions":64,"n_special":0,"predict_special_tokens":true,"resid_pdrop":0.1,"summary_activation":null,"summary_first_dropout":0.1,"summary_proj_to_labels":true,"summary_type":"cls_index","summary_use_proj":true,"task_specific_params":{"text-generation":{"do_sample":true,"max_length":50}},"vocab_size":100}`,
		"gpt2-xl":                   `{"activation_function":"gelu_new","architectures":["GPT2LMHeadModel"],"layer_norm_epsilon":1e-05,"model_type":"gpt2","n_ctx":64,"n_embd":64,"n_head":4,"n_layer":2,"n_positions":64,"output_past":true,"vocab_size":100}`,
		"distilgpt2":                `{"_num_labels":1,"activation_function":"gelu_new","architectures":["GPT2LMHeadModel"],"id2label":{"0":"LABEL_0"},"label2id":{"LABEL_0":0},"layer_norm_epsilon":1e-05,"model_type":"gpt2","n_ctx":64,"n_embd":64,"n_head":4,"n_layer":2,"n_positions":64,"vocab_size":100}`,
		"r1-0528-qwen3":             `{"architectures":["Qwen3ForCausalLM"],"attention_bias":false,"head_dim":16,"hidden_act":"silu","hidden_size":64,"intermediate_size":64,"max_position_embeddings":131072,"max_window_layers":36,"model_type":"qwen3","num_attention_heads":4,"num_hidden_layers":2,"num_key_value_heads":2,"rms_norm_eps":1e-6,"rope_scaling":{"attn_factor":0.8782488562869419,"factor":4.0,"original_max_position_embeddings":32768,"rope_type":"yarn"},"rope_theta":1000000,"sliding_window":null,"tie_word_embeddings":false,"use_sliding_window":false,"vocab_size":100}`,
		"pythia":                    `{"architectures":["GPTNeoXForCausalLM"],"bos_token_id":0,"eos_token_id":0,"hidden_act":"gelu","hidden_size":64,"initializer_range":0.02,"intermediate_size":64,"layer_norm_eps":1e-05,"max_position_embeddings":2048,"model_type":"gpt_neox","num_attention_heads":4,"num_hidden_layers":2,"rotary_emb_base":10000,"rotary_pct":0.25,"tie_word_embeddings":false,"use_parallel_residual":true,"vocab_size":100}`,
		"dolly":                     `{"architectures":["GPTNeoXForCausalLM"],"custom_pipelines":{"text-generation":{"impl":"x"}},"hidden_act":"gelu","hidden_size":64,"intermediate_size":64,"max_position_embeddings":2048,"model_type":"gpt_neox","num_attention_heads":4,"num_hidden_layers":2,"rotary_emb_base":10000,"rotary_pct":0.5,"vocab_size":100}`,
		"mistral-small-3.1":         `{"architectures":["Mistral3ForConditionalGeneration"],"image_token_index":10,"model_type":"mistral3","multimodal_projector_bias":false,"projector_hidden_act":"gelu","spatial_merge_size":2,"text_config":{"attention_dropout":0.0,"head_dim":16,"hidden_act":"silu","hidden_size":64,"initializer_range":0.02,"intermediate_size":64,"max_position_embeddings":131072,"model_type":"mistral","num_attention_heads":4,"num_hidden_layers":2,"num_key_value_heads":2,"rms_norm_eps":1e-05,"rope_theta":1000000000.0,"sliding_window":null,"use_cache":true,"vocab_size":100},"torch_dtype":"bfloat16","transformers_version":"4.50.0.dev0","vision_config":{"hidden_size":64,"model_type":"pixtral"},"vision_feature_layer":-1}`,
		"gemma3-270m":               `{"_sliding_window_pattern":6,"architectures":["Gemma3ForCausalLM"],"attention_bias":false,"attn_logit_softcapping":null,"bos_token_id":2,"eos_token_id":1,"final_logit_softcapping":null,"head_dim":16,"hidden_activation":"gelu_pytorch_tanh","hidden_size":64,"intermediate_size":64,"layer_types":["sliding_attention","full_attention"],"max_position_embeddings":32768,"model_type":"gemma3_text","num_attention_heads":4,"num_hidden_layers":2,"num_key_value_heads":1,"pad_token_id":0,"query_pre_attn_scalar":256,"rms_norm_eps":1e-6,"rope_local_base_freq":10000.0,"rope_scaling":null,"rope_theta":1000000.0,"sliding_window":512,"use_bidirectional_attention":false,"vocab_size":262144}`,
		"olmoe":                     `{"architectures":["OlmoeForCausalLM"],"attention_bias":false,"attention_dropout":0.0,"clip_qkv":null,"eos_token_id":50279,"hidden_act":"silu","hidden_size":64,"initializer_range":0.02,"intermediate_size":32,"max_position_embeddings":4096,"model_type":"olmoe","norm_topk_prob":false,"num_attention_heads":4,"num_experts":64,"num_experts_per_tok":8,"num_hidden_layers":2,"num_key_value_heads":4,"output_router_logits":false,"pad_token_id":1,"rms_norm_eps":1e-05,"rope_scaling":null,"rope_theta":10000.0,"router_aux_loss_coef":0.01,"tie_word_embeddings":false,"torch_dtype":"bfloat16","transformers_version":"4.43.0.dev0","use_cache":true,"vocab_size":100}`,
		"qwen3-30b-a3b":             `{"architectures":["Qwen3MoeForCausalLM"],"attention_bias":false,"attention_dropout":0.0,"bos_token_id":151643,"decoder_sparse_step":1,"eos_token_id":151645,"head_dim":32,"hidden_act":"silu","hidden_size":64,"initializer_range":0.02,"intermediate_size":96,"max_position_embeddings":40960,"max_window_layers":48,"mlp_only_layers":[],"model_type":"qwen3_moe","moe_intermediate_size":24,"norm_topk_prob":true,"num_attention_heads":4,"num_experts":128,"num_experts_per_tok":8,"num_hidden_layers":2,"num_key_value_heads":2,"output_router_logits":false,"rms_norm_eps":1e-06,"rope_scaling":null,"rope_theta":1000000.0,"router_aux_loss_coef":0.001,"sliding_window":null,"tie_word_embeddings":false,"torch_dtype":"bfloat16","transformers_version":"4.51.0","use_cache":true,"use_sliding_window":false,"vocab_size":100}`,
		"qwen1.5-moe":               `{"architectures":["Qwen2MoeForCausalLM"],"attention_dropout":0.0,"bos_token_id":151643,"decoder_sparse_step":1,"eos_token_id":151643,"hidden_act":"silu","hidden_size":64,"initializer_range":0.02,"intermediate_size":96,"max_position_embeddings":8192,"max_window_layers":21,"model_type":"qwen2_moe","moe_intermediate_size":24,"norm_topk_prob":false,"num_attention_heads":4,"num_experts":60,"num_experts_per_tok":4,"num_hidden_layers":2,"num_key_value_heads":4,"output_router_logits":false,"rms_norm_eps":1e-06,"rope_theta":1000000.0,"router_aux_loss_coef":0.001,"shared_expert_intermediate_size":96,"sliding_window":32768,"tie_word_embeddings":false,"torch_dtype":"bfloat16","transformers_version":"4.39.0.dev0","use_cache":true,"use_sliding_window":false,"vocab_size":100}`,
		"mixtral":                   `{"architectures":["MixtralForCausalLM"],"attention_dropout":0.0,"bos_token_id":1,"eos_token_id":2,"hidden_act":"silu","hidden_size":64,"initializer_range":0.02,"intermediate_size":96,"max_position_embeddings":32768,"model_type":"mixtral","num_attention_heads":4,"num_experts_per_tok":2,"num_hidden_layers":2,"num_key_value_heads":2,"num_local_experts":8,"output_router_logits":false,"rms_norm_eps":1e-05,"rope_theta":1000000.0,"router_aux_loss_coef":0.02,"sliding_window":null,"tie_word_embeddings":false,"torch_dtype":"bfloat16","transformers_version":"4.36.0.dev0","use_cache":true,"vocab_size":100}`,
		"granite-3.0-1b-a400m":      `{"architectures":["GraniteMoeForCausalLM"],"attention_bias":false,"attention_dropout":0.1,"attention_multiplier":0.015625,"bos_token_id":0,"embedding_multiplier":12.0,"eos_token_id":0,"hidden_act":"silu","hidden_size":64,"initializer_range":0.02,"intermediate_size":32,"logits_scaling":6.0,"max_position_embeddings":4096,"model_type":"granitemoe","num_attention_heads":4,"num_experts_per_tok":8,"num_hidden_layers":2,"num_key_value_heads":2,"num_local_experts":32,"output_router_logits":false,"pad_token_id":0,"residual_multiplier":0.22,"rms_norm_eps":1e-06,"rope_scaling":null,"rope_theta":10000,"router_aux_loss_coef":0.0,"tie_word_embeddings":true,"torch_dtype":"bfloat16","transformers_version":"4.46.0.dev0","use_cache":true,"vocab_size":100}`,
	} {
		var k map[string]json.RawMessage
		if err := json.Unmarshal([]byte(c), &k); err != nil {
			t.Fatal(n, err)
		}
		m, err := New(k, no)
		if err != nil {
			t.Errorf("%s: %v", n, err)
			continue
		}
		if want := n == "r1-0528-qwen3"; (len(m.Warnings) > 0) != want { // its attn_factor, which transformers does not read
			t.Errorf("%s: warnings %v, wanted some: %v", n, m.Warnings, want)
		}
	}
}
