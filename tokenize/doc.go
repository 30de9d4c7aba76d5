// Package tokenize turns text into the token ids of one checkpoint, as transformers does,
// and says which of the ids are the reply.
//
//	tok, err := tokenize.Load(dir)
//	text, err := tok.Chat("What is the best thing ever?", "Love", nil)
//	text.IDs[text.Reply:] // the reply's token ids
//
// [Load] reads the tokenizer.json, tokenizer_config.json and chat_template.jinja of a
// checkpoint. [Tokenizer.Raw] encodes plain text, [Tokenizer.Chat] and
// [Tokenizer.Conversation] a chat with the beginning of the assistant's reply,
// [Tokenizer.Turn] a chat with the assistant's complete message, and [Tokenizer.Transcript]
// one as reward models read it. All BPE tokenizers of the
// supported model families are read; a setting that is not known to be computed correctly is
// an error of Load. Encoding is done by Hugging Face's own library through
// github.com/daulet/tokenizers; a program built with -tags nodaulet does without it and
// cannot encode text.
//
// tokenizer.json decides, as in transformers 4. Version 5 instead rebuilds the tokenizer of
// some classes: with LlamaTokenizer (Llama 2), text that begins with a space, or follows a
// special token, is tokenized differently from tokenizer.json.
//
// Tokens that are only in the other files (bos_token and its like,
// additional_special_tokens, extra_special_tokens, added_tokens_decoder; the older
// special_tokens_map.json and added_tokens.json) are added as in transformers, with the ids
// that follow the vocabulary. Files for which versions 4 and 5 give different tokens are
// refused.
//
// # Linking
//
// The library is written in Rust and linked as libtokenizers.a. The linker's error "cannot
// find -ltokenizers" means that it is not installed:
//
//	go run github.com/implicitreward/implicitreward/setup@latest
//
// run in the folder of the program, finds, downloads or builds it once for each machine, and
// puts it where the linker looks. A build that takes this module from elsewhere than Go's
// module cache (a vendor folder, a replace) needs CGO_LDFLAGS=-L and the library's folder in
// its environment, which is what the command prints.
//
// # Raw text
//
// [Tokenizer.Raw] encodes prompt+reply as one text. Nothing is trimmed, cut or padded. Text
// must be UTF-8 without NUL bytes, which the library would silently cut or change; anything
// else is an error that names the byte. Added tokens spelled out in the text, such as
// "<|im_end|>", become those tokens, as in transformers (unless the checkpoint says
// split_special_tokens); Encoded.Special counts the special ones, so that a caller can
// refuse them in untrusted text.
//
// # Boundary
//
// The ids of prompt+reply are not those of the prompt followed by those of the reply: "hello
// wor" + "ld" ends with the token " world". So both are encoded at once, and the reply
// begins with the first token whose byte span ends after the prompt:
//
//	Rendered   What is it? Freedom
//	Start                 ^11
//	tokens     What| is| it|?| Freedom
//	Reply                    ^4
//
// A token that covers the end of the prompt and the start of the reply belongs to the reply,
// and Encoded.Straddle is set: its probability is that of slightly more text than the reply.
// Spans cover the text in order and without gaps. Several tokens of one character (byte
// tokens) share its span; text that normalization merges into the character before it is
// part of that character; a "▁" that a Llama-2-like tokenizer puts before the text has the
// span of the character that follows. White space that a special token absorbs (rstrip)
// belongs to the prompt or reply that contains it.
//
// The reply may be empty: Reply is then len(IDs), and a model predicts the next token after
// the prompt. The prompt may be empty if a BOS precedes the reply; otherwise the reply's
// first token would have no probability, which is an error.
//
// # BOS
//
// Gemma without its BOS is not the same model, and a second BOS is as harmful. Raw text
// begins as in transformers' tokenizer(text) ([BOSAuto]): the post_processor of
// tokenizer.json decides, and [Tokenizer.BOS] returns the BOS. In transformers 4 some
// tokenizer classes (of Llama, Gemma, Cohere and GPT-NeoX) decide by add_bos_token of
// tokenizer_config.json, or by their own default, instead: DeepSeek-R1-Distill-Qwen gets a
// BOS in version 4 and none in version 5. If the two disagree, Raw fails with [ErrBOS], and
// [Tokenizer.RawBOS] takes the choice: [BOSAdd] or [BOSNone].
//
// The ids are checked: a model with a BOS has it first and nowhere else, or not at all with
// BOSNone or a chat template that omits it. A BOS spelled out in a prompt or reply is
// therefore an error. A text for a model without one (SmolLM2, Qwen, GPT-NeoX) begins with
// its first token, which has no probability. Tokens that a post-processor adds after a text
// are omitted, with a warning: a reply ends where its text ends.
//
// # Chat
//
// [Tokenizer.Chat] renders the prompt as a user message with the checkpoint's template and
// the generation prompt, and appends the reply as raw text. As a message the reply would
// lose a leading space to templates that trim, and get an end-of-turn token. Rendered is the
// whole text.
//
// Templates are rendered as in transformers (Jinja in a sandbox, with trim_blocks,
// lstrip_blocks, break and continue, the generation tag, tojson, raise_exception and
// strftime_now; the variables are messages, add_generation_prompt, tools and documents as
// none, and the checkpoint's named tokens), but with bounds on time, memory and depth, and
// without a clock: the date is [ChatOptions].Date. A template that raises an exception is an
// error with its message. Tools can be passed in ChatOptions.Vars. Of a list of named
// templates the one called "default" is used, or another through [Tokenizer.TemplateNamed];
// without a default, chats fail with [ErrTemplate] and raw text works.
//
// The rendered text is encoded without a BOS other than the template's, as in transformers'
// apply_chat_template. The templates of some models that were trained with a BOS omit it
// (Zephyr's, TinyLlama's): ChatOptions.BOS = BOSAdd adds it if the template does not begin
// with it. BOSExtra puts the BOS of raw text there even if it does, as transformers'
// tokenizer(text) does with a rendered text: some reward models are trained on two. Where the
// template writes none, that is one, like BOSAdd, and with a tokenizer that adds none, none.
//
// # Vocabulary
//
// [Tokenizer.Vocab] yields each id with its name and with the text that it decodes to alone,
// which many ids can share: U+FFFD for parts of a character, and, for a Llama-2-like
// tokenizer, the same text with and without a leading space. [Tokenizer.Bytes] distinguishes
// those.
package tokenize
