package serve

import "testing"

// TestReplyOf: where a reply begins in what a trainer decoded. The prompts of the first
// lines are decoded with clean_up_tokenization_spaces as transformers 4.57.3 does it: " ,",
// " .", " 'm" and the like lose their space.
func TestReplyOf(t *testing.T) {
	for _, c := range []struct{ query, prompt, reply, err string }{
		{"Hello there", "Hello", " there", ""},
		{"Hello", "Hello", "", ""},
		{"user\nHello, world. I'm  here\nassistant\nok .", "user\nHello , world . I 'm  here\nassistant\n", "ok .", ""},
		{"Q: Is it?\n\nA: \n no", "Q: Is it ?\n\nA: ", "\n no", ""},
		{"Is it? A:.", "Is it ? A: ", ".", ""}, // the prompt's last space is gone too
		{"Is it? A: yes", "Is it ? A:", " yes", ""},
		{"<s>[INST] Hi [/INST] yes</s>", "<s> [INST] Hi [/INST]", " yes</s>", ""},                 // Llama 2: a space less
		{"<s> [INST] Hi [/INST] yes</s>", "<s>[INST] Hi [/INST]", " yes</s>", ""},                 // a space more
		{"<|user|> Hi<|end|><|assistant|>yes", "<|user|>\nHi<|end|>\n<|assistant|>\n", "yes", ""}, // Phi 3: line ends stripped
		{"  Hi there", "Hi", " there", ""},
		{"a\u00a0b c", "a b", " c", ""},
		{"<|user|> Hi<|end|><|assistant|> yes", "<|user|>\nHi<|end|>\n<|assistant|>\n", "", errBoundary.Error()},
		{"a b. c", "a b .  ", "", errBoundary.Error()},
		{"lo there", "Hello", "", errNoPrompt.Error()},
		{"Hell", "Hello", "", errNoPrompt.Error()},
		{"", "Hello", "", errNoPrompt.Error()},
		{"hello there", "Hello", "", errNoPrompt.Error()},
	} {
		reply, err := replyOf(c.query, c.prompt)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if reply != c.reply || got != c.err {
			t.Errorf("%q after %q: %q, %s, wanted %q, %s", c.query, c.prompt, reply, got, c.reply, c.err)
		}
	}
}
