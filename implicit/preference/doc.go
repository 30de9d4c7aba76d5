// Package preference reads preference data, conversations with chosen and rejected replies,
// and measures how often models prefer the chosen ones: the accuracy of the implicit reward
// of a pair, of an explicit reward model, or of both on the same rows, as in RewardBench.
//
// Read reads the published formats, Score scores the rows, Summarize computes the accuracy.
// Training on preferences reads the same rows.
//
// # Formats
//
// A file is JSON Lines or a JSON array of objects (pandas with orient="records",
// LLaMA-Factory), either of them optionally gzipped, or Parquet. A row has
//
//   - chosen and rejected (chosen_response, rejected_response): text; one message; messages
//     that end with the reply, optionally with the conversation before it; a transcript
//     "\n\nHuman: ...\n\nAssistant: ..." (Anthropic's hh-rlhf), whose turns are trimmed of
//     spaces; or a list of such replies (RewardBench 2);
//   - prompt, or question, instruction (with input: the text after it), input, messages,
//     conversations or conversation: the user's text, a message, messages or a transcript;
//     absent if the replies contain the conversation. If several are present they must agree;
//   - system or system_prompt, text before the conversation; history, earlier turns as
//     pairs of texts (LLaMA-Factory); subset, and id.
//
// A message is {"role", "content"}, or {"from", "value"} with ShareGPT's names (human, gpt).
// Its content is text, or one part {"type": "text", "text": ...}. Its other members
// (reasoning_content, name, tool_calls) are passed to the chat template, which must read
// them; a reply with other members is refused, since they would not be scored.
//
// A row with parts of a conversation that are not supported (tools, images and the like) is
// refused by their name. Other members (scores, sources) are listed in Row.Unread.
package preference
