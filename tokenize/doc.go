// Package tokenize turns text into the token ids of one checkpoint, as transformers
// does, and says where in them the reply begins.
//
// [Load] reads the tokenizer.json, tokenizer_config.json and chat_template.jinja of
// a checkpoint. Ids come from Hugging Face's own library, by way of
// github.com/daulet/tokenizers; a program built with -tags nodaulet goes without it
// and takes ids only. All BPE tokenizers of the supported model families are read;
// what a file says that is not known to be computed right is an error of Load.
//
// tokenizer.json decides, as in transformers 4. Version 5 rebuilds the tokenizer of
// some classes instead: for LlamaTokenizer (Llama 2) it cuts text that begins with a
// space, or that follows a special token, differently from tokenizer.json.
//
// Tokens that only the other files name (bos_token and its like, additional_special_tokens,
// extra_special_tokens, added_tokens_decoder; the older special_tokens_map.json and
// added_tokens.json) are added as transformers adds them, with the ids that follow the
// vocabulary. Files of which its versions 4 and 5 make different tokens are refused.
//
// # Linking
//
// That library is written in Rust and linked as libtokenizers.a. "cannot find
// -ltokenizers" says that it is not there yet:
//
//	go run github.com/implicitreward/implicitreward/setup@latest
//
// run in the folder of the program, finds, downloads or builds it once for each
// machine, and puts it where the linker looks. A build that takes this module from
// elsewhere than Go's module cache (a vendor folder, a replace) needs
// CGO_LDFLAGS=-L and the library's folder in its environment, which is what the
// command prints.
//
// # Raw text
//
// [Tokenizer.Raw] encodes prompt+reply as one text, as it stands. Nothing is
// trimmed, cut or padded. Text must be UTF-8 without NUL bytes: the library would
// cut it there, or change it, without a word, so anything else is an error that
// states the byte. Added tokens that are spelled out in the text, such as
// "<|im_end|>", become those tokens, as in transformers (unless the checkpoint says
// split_special_tokens); Text.Special counts the special ones, so that a caller with
// text from elsewhere can refuse them.
//
// # Boundary
//
// The ids of prompt+reply are not those of the prompt followed by those of the
// reply: "hello wor" + "ld" ends with the token " world". So both are encoded at
// once, and the reply begins with the first token whose span of bytes ends after the
// prompt:
//
//	Rendered   What is it? Freedom
//	Start                 ^11
//	tokens     What| is| it|?| Freedom
//	Reply                    ^4
//
// A token that holds the end of the prompt and the start of the reply belongs to the
// reply, and Text.Straddle is set: its probability is then that of a little more
// than the reply. Spans cover the text without a gap, in order. Several tokens of one
// character (byte tokens) share its span; what normalization merges into the
// character before it is part of that character; a "▁" that a Llama-2-like tokenizer
// puts before the text has the span of the character that follows. White space that
// a special token takes with it (rstrip) stays with the prompt or the reply that it
// is in.
//
// An empty reply is allowed: Reply is then len(IDs), and the next token is what a
// model predicts after the prompt. An empty prompt is allowed where a BOS stands
// before the reply. Where nothing does, the reply's first token would have no
// probability, which is an error.
//
// # BOS
//
// Gemma without its BOS is not the model, and a second one is as bad. Raw text begins as
// transformers' tokenizer(text) begins it ([BOSAuto]): the post_processor of
// tokenizer.json decides, and [Tokenizer.BOS] returns the BOS. In transformers 4 some
// tokenizer classes (of Llama, Gemma, Cohere and GPT-NeoX) decide by add_bos_token of
// tokenizer_config.json, or by a default of their own, instead: DeepSeek-R1-Distill-Qwen
// gets a BOS from version 4 and none from version 5. Where the two disagree Raw fails
// with [ErrBOS], and [Tokenizer.RawBOS] takes the choice: [BOSAdd] or [BOSNone].
//
// The ids are checked: a model with a BOS has it first and nowhere else, or not at all
// where the choice is BOSNone or a chat template leaves it out. A BOS spelled out in a
// prompt or a reply is therefore an error. A model without one
// (SmolLM2, Qwen, GPT-NeoX) begins with the text; its first token has no probability.
// What a post-processor adds after a text is left out, with a warning: a reply ends
// where its text ends.
//
// # Chat
//
// [Tokenizer.Chat] renders the prompt as the user's turn of the checkpoint's own
// template, with the generation prompt after it, and appends the reply as raw text.
// A reply that were a message would lose its first space to templates that trim, and
// would get an end-of-turn token. Rendered is the whole text, for the record.
//
// Templates are rendered as transformers renders them (Jinja in a sandbox, with
// trim_blocks, lstrip_blocks, break and continue, the generation tag, tojson,
// raise_exception and strftime_now; the variables are messages,
// add_generation_prompt, tools and documents as none, and the checkpoint's named
// tokens), but with bounds on time, memory and depth, and without a clock: the date
// is [ChatOptions].Date. A template that raises is an error with its message. Tools
// are not passed but as a variable of ChatOptions.Vars. Of a list of named templates that
// called "default" is used, or another by [Tokenizer.TemplateNamed]; without one, chats
// fail with [ErrTemplate] and raw text does not.
//
// The rendered text is encoded as it stands, with no BOS but that which the template
// writes, as transformers' apply_chat_template does. Templates of some models that were
// trained with a BOS leave it out (Zephyr's, TinyLlama's): ChatOptions.BOS = BOSAdd adds
// it where the template does not begin with it.
//
// # Vocabulary
//
// [Tokenizer.Vocab] yields each id with its name and with the text that decoding the
// one id yields, which many ids can share: U+FFFD for parts of a character, and for
// a Llama-2-like tokenizer the same text with and without a first space.
// [Tokenizer.Bytes] tells those apart.
package tokenize
