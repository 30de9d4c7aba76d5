package main

const purpose = `scores many models, prompts and replies on many machines, with the bytes of one.

-plan cuts models x prompts x replies into shards, by numbers of replies and bytes alone, and
hashes all that decides the numbers: weights, tokenizers, renderings, the backend and its
plugin, and the input. Plan on a machine such as those that score: a worker whose model,
plugin or kind of processor is another is an error.

-shard i/n does the i-th of n parts of the shards, i from 0. It is for any launcher that counts:
a Slurm array (-shard /n in the script takes i from SLURM_ARRAY_TASK_ID), a Kubernetes Indexed
Job (from JOB_COMPLETION_INDEX), xargs. A shard's rows are a file part-NUMBER-KEY.parquet, which
appears whole; one that is there and fits is reused, and no model is loaded for it. So a worker
that was killed, or is started twice, costs the shard in progress and nothing else. -memory,
-backend and -devices may be given here too.

-merge looks through all parts, names what is missing or not of the plan, and writes
manifest.json last. study reads it in the place of a file (-rewards, -scores, -series).

Each part is a file as score writes it, of preferences a row a reply with ln p of each token. Ranks are 0, unknown, where replies are in several
shards. A reply that cannot be scored has no row, is counted, and makes -merge end with exit
code 3.`

const examples = `  scale -plan -tuned run/checkpoint-100 -tuned run/checkpoint-200 -base org/base -corpus words.csv -out work
  scale -plan -models pairs.jsonl -replies replies.jsonl -prompts prompts.csv -out work
  seq 0 7 | xargs -P 2 -I {} scale -shard {}/8 -out work
  scale -merge -out work -one all.parquet
  scale -plan -rm org/a -rm org/b -data preferences.jsonl -out accuracy
  study -rewards work/manifest.json -corpus words.csv -out report`
