package main

const purpose = `counts how often the implicit reward of a pair of models, ln p_tuned(reply | conversation) -
ln p_base(reply | conversation), or the reward of an explicit reward model (-rm), is greater for
the reply that was chosen than for the one that was rejected; with both, on the same pairs, in
one table. The file is JSON Lines, a JSON array (each also with gzip) or Parquet, a pair a
line or row, as RewardBench, TRL, hh-rlhf, UltraFeedback and LLaMA-Factory have them:

  chosen, rejected   the two replies: text; a message; messages that end with the reply; a
                     transcript "\n\nHuman: ... \n\nAssistant: ..."; or lists of replies, of
                     which the best chosen one must beat all that were rejected (RewardBench 2)
  prompt             the user's text, or the messages so far, the user's last (or question,
                     instruction and input, messages, conversations); not needed where the
                     messages of chosen and rejected hold the conversation
  system             text before it, or not there
  subset, id         text, or not there

A message is {"role", "content"} or {"from", "value"}; its other members (reasoning_content)
go to the chat template, which must read them. A line that is none of this, or cannot be
scored, is refused by itself, with its reason; the program then ends with exit code 3.

It prints, for each subset and all together, the share of pairs with the greater value for the
chosen reply, a tie counting as half, and Wilson's 95 % interval, by each of

  reward     the implicit reward: a sum over the reply's tokens
  reward_per_token, reward_per_byte      the same by length: other quantities, whose
             differences do not depend on how long the replies are
  tuned, tuned_per_token, tuned_per_byte ln p_tuned alone, without a reference: all that is
             printed without -base
  explicit_reward                        the reward model's, in its own unit

A conversation is rendered once, by the tuned model's chat template, up to where the
assistant's reply begins; the base model reads the same text (-base-as same). The reply is
scored as it stands, without an end of turn. The reward model reads the conversation with the reply as
the assistant's message, by its own template without a generation prompt. Nothing is cut: a pair of which a text is longer
than a model's context, or that cannot be rendered, is refused as a whole. A run that was
stopped goes on where it was when the same command with -out is started again.

With -scored manifest.json no model is loaded: the scores are those that scale has made of the
same file on as many machines as there were.`

const examples = `  prefer -tuned google/gemma-2-2b-it -base google/gemma-2-2b -data pairs.jsonl
  prefer -tuned ./tuned -base ./base -data filtered.parquet -out margins.csv -json
  prefer -tuned ./tuned -data - < pairs.jsonl
  prefer -rm Skywork/Skywork-Reward-Llama-3.1-8B-v0.2 -tuned ./tuned -base ./base -data filtered.parquet`
