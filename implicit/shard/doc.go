// Package shard cuts the scoring of many models, prompts and replies into shards that any
// launcher runs: a Slurm array, a Kubernetes Indexed Job, Apache Beam, or a loop.
//
//	plan, err := shard.New(ctx, folder, spec)           // once: models x prompts x replies, cut
//	part, err := shard.Score(ctx, folder, plan, s, load) // for each s of plan.Shards, anywhere
//	manifest, err := shard.Merge(ctx, folder, plan)      // once: all there?
//
// # Plan
//
// The replies are lines of a JSON Lines file. New cuts them by their number and bytes alone,
// never by the number of workers, and hashes each piece. A Shard is one model, some prompts
// and a piece of the lines. Its key is a SHA-256 of all that decides its numbers: weights,
// tokenizer, rendering, dtype, backend, plugin, processor, library version, columns, prompts
// and the bytes of the lines. The plan is two files, plan.json, and shards.jsonl with a shard a
// line, in an order in which neighbours share a model.
//
// # Parts
//
// Score writes a shard's rows as part-NUMBER-KEY.parquet, which appears whole or not at all. A
// part that is there already, and whose footer fits, is reused: nothing is loaded. So shards may
// be scored in any order, by any number of workers, twice, and again after a kill; the bytes of
// the parts are the same. Each part is a rewards or scores file of package words, with the key
// in its provenance.
//
// # Manifest
//
// Merge reads the footer of every part, names one that is missing or of another plan, and
// writes manifest.json last: its presence says that all is there. Readers take the manifest,
// never a pattern of names, and check each part against its SHA-256.
package shard
