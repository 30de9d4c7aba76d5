package main

const purpose = `trains a reward model or a policy from a base model, and says at every checkpoint what
became of its values. The objectives are

  reward  Bradley-Terry on pairs of a chosen and a rejected reply, as TRL's RewardTrainer:
          -ln sigmoid(r(chosen) - r(rejected) - margin), r being score.weight . h of a text's
          last token. The result is scored by score -rm
  dpo     -ln sigmoid(b(chosen) - b(rejected)), b = beta (ln p(reply) - ln p_ref(reply)): the
          implicit reward against the model that training began with, as score -tuned has it
  sft     -ln p a token, of the reply where rows have a prompt, else of the whole text
  lm      -ln p a token of the whole text, from random weights: of -model, config.json and the
          tokenizer are read

Data are JSON Lines, JSON or Parquet as TRL reads them: chosen and rejected (and prompt,
margin), each text or a conversation; of sft prompt and completion, messages or text; of lm
text. Without -full, low-rank paths (LoRA) are trained beside the frozen weights, of reward the
score row with them. Weights that are trained, gradients and AdamW's moments are float32.

The folder -out gets checkpoint-N, a peft adapter or a full checkpoint that peft and
transformers read too, always of step 0 and of the last one; log.jsonl, a line a step;
eval.jsonl, a line a checkpoint with -eval; train.json, what was done with what; and
curves.png and .svg. With -corpus the words are scored after the prompts at every checkpoint:
words/PROMPT.csv is a file for study -series, a row a word and a column a checkpoint, of
reward by the reward model, of dpo and sft by the implicit reward against the model that
training began with.

A run that was stopped goes on when the same command is started again with -resume, and
writes the same bytes as one that was not.`

const examples = `  train -task reward -model google/gemma-2-2b-it -data pairs.jsonl -out rm -clip 5 -lora-dropout 0.05
  train -task reward -model ./base -data pairs.parquet -where source=skywork -every 8 -out rm -eval held-out.jsonl -corpus words.csv
  train -task dpo -model ./base -data pairs.jsonl -out policy -beta 0.1 -lr 5e-6 -epochs 1
  train -task sft -model ./base -data texts.jsonl -out policy -steps 50 -batch 4 -lora-r 8 -lora-alpha 8 -lora-targets all-linear
  train -task lm -model ./config -data corpus.jsonl -out base -batch 32 -epochs 3
  train -task reward -model ./base -data pairs.jsonl -out rm -resume`
