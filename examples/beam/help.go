package main

const purpose = `scores a plan of scale with Apache Beam, with the bytes of scale.

The plan is one that scale -plan has made. -out names its folder, on this machine, s3:// or gs://;
-plan FOLDER copies a plan and its input there first. Where several machines work, they all see
the folder and find the models under the names that the plan has.

-runner prism runs in this process, for trying. flink, spark and universal hand the job to a Beam
job server (-- --endpoint=HOST:PORT), dataflow to Google's. What stands after -- are Beam's own
flags. Workers are this program: as a process that the runner starts (-- --environment_type=PROCESS;
the same path on every machine), or as a pool beside each of the cluster's workers, started with
-pool PORT (-- --environment_type=EXTERNAL --environment_config=localhost:PORT), which keeps its
model from one job to the next. Either has one model loaded, and its shards go first.

A worker writes a line of JSON on stderr for each shard. At the end there is one on stdout, from
Beam's counters: shards, those of them that were there (reused), rows, replies refused, and of what
was computed the items, tokens, loads of models and seconds. A reply that cannot be scored has no
row, is counted, and makes the exit code 3. Anything else that goes wrong fails the bundle, which
Flink, Spark and Dataflow start again; shards that are done are reused then.`

const examples = `  scale -plan -models pairs.jsonl -replies replies.jsonl -prompts prompts.csv -out work
  beam -out work
  beam -plan work -out s3://bucket/work
  beam -out /shared/work -runner flink -- --endpoint=localhost:8099 --environment_type=PROCESS --parallelism=16
  beam -pool 50000
  beam -out /shared/work -runner flink -- --endpoint=localhost:8099 --environment_type=EXTERNAL --environment_config=localhost:50000`
