// Package preference reads preference data, replies to a conversation of which some were
// chosen and others rejected, and measures how often a pair of models prefers what people
// chose: the accuracy of an implicit reward, as RewardBench reports it.
//
// Read reads the published shapes, Score scores the rows that it yields, Summarize counts.
// Training on preferences reads the same rows.
//
// # What is read
//
// A file is JSON Lines, a JSON array of objects (pandas with orient="records",
// LLaMA-Factory), either of them compressed by gzip, or Parquet. A row has
//
//   - chosen and rejected (chosen_response, rejected_response): text; one message; messages
//     that end with the reply, before which the conversation may stand; a transcript
//     "\n\nHuman: ...\n\nAssistant: ..." (Anthropic's hh-rlhf), whose turns lose the spaces
//     around them; or a list of such replies (RewardBench 2);
//   - prompt, or question, instruction (with input: the text after it), input, messages,
//     conversations or conversation: the user's text, a message, messages or a transcript;
//     none where the replies hold the conversation. What several of them tell must agree;
//   - system or system_prompt, text before the conversation; history, earlier turns as
//     pairs of texts (LLaMA-Factory); subset, and id.
//
// A message is {"role", "content"}, or {"from", "value"} with the names of ShareGPT (human,
// gpt). Its content is text, or one part {"type": "text", "text": ...}. Its other members
// (reasoning_content, name, tool_calls) go to the chat template, which must read them; a
// reply with other members is refused, since they would not be scored.
//
// What belongs to a conversation and is not read refuses the row by its name: tools, images
// and their like. Other members (scores, sources) are listed in Row.Unread.
package preference
