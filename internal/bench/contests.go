package main

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
)

// oursName is our side in every contest.
const oursName = "ours"

// ours and peer are the sides of a contest over b's task.
func (b *bench) ours(job, dtype string, items int) side {
	return side{oursName, "implicitreward", b.oursArgv(b.path, job, dtype), float64(items)}
}

func (b *bench) oursArgv(task, job, dtype string, more ...string) []string {
	return append([]string{b.exe, "work", "-task", task, "-job", job, "-dtype", dtype}, more...)
}

func (b *bench) peer(job, shown, dtype string, items int) side {
	return side{job, shown, b.peerArgv(job, dtype), float64(items)}
}

func (b *bench) peerArgv(job, dtype string) []string {
	return []string{b.python, "internal/bench/peers/peer.py", job, dtype, b.path}
}

// contest holds one of ours and, where there are any, peers, and keeps what came out.
func (b *bench) contest(ctx context.Context, name string, rounds int, ours side, peers ...side) error {
	c := contest{name: name, sides: []side{ours}}
	if b.python != "" {
		c.sides = append(c.sides, peers...)
	}
	all, err := c.hold(ctx, rounds, b.dir, b.stderr)
	if err != nil {
		return err
	}
	b.times[name] = map[string]*timing{}
	return b.keep(name, all)
}

// numbersOf has each side do a job once, alone, for its numbers: models that do not fit beside
// one another.
func (b *bench) numbersOf(ctx context.Context, name string, sides ...side) error {
	for _, s := range sides {
		c := contest{name: name, sides: []side{s}}
		all, err := c.hold(ctx, 0, b.dir, b.stderr)
		if err == nil {
			err = b.keep(name, all)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keep keeps what came out of a contest.
func (b *bench) keep(name string, all []*timing) error {
	for _, t := range all {
		if times := b.times[name]; times != nil {
			times[t.name] = t
		}
		if err := b.numbers.add(name, t, b.task.sampled(name), len(b.task.Sample)); err != nil {
			return err
		}
		if t.name != oursName {
			maps.Copy(b.peers, t.ready.Versions)
		}
	}
	return nil
}

const (
	shownNext      = "transformers, one prompt at a time"
	shownNextBatch = "transformers, one left-padded batch, last logits only"
	shownLong      = "transformers, one text at a time"
	shownLMEval    = "lm-eval, HFLM.loglikelihood, batch 32"
	shownMinicons  = "minicons, conditional_score, batch 32"
)

// next is the paper's job: a whole row after each prompt.
func (b *bench) next(ctx context.Context) error {
	err := b.contest(ctx, "next f32", b.rounds, b.ours("next", "f32", 1), b.peer("next", shownNext, "f32", 1))
	if err != nil {
		return err
	}
	return b.contest(ctx, "next bf16", b.rounds, b.ours("next", "bf16", 1),
		b.peer("next", shownNext, "bf16", 1), b.peer("next-batch", shownNextBatch, "bf16", 1))
}

// corpus is a whole word list after each prompt; the peers do a sample of it. First the
// sample in float32, once, for its numbers.
func (b *bench) corpus(ctx context.Context) error {
	n, all := len(b.task.Sample), len(b.task.Prompts)*len(b.task.Forms)
	if b.python != "" {
		err := b.contest(ctx, "sample f32", 0, b.ours("sample", "f32", n),
			b.peer("lm-eval", shownLMEval, "f32", n), b.peer("minicons", shownMinicons, "f32", n))
		if err != nil {
			return err
		}
		if err := b.contest(ctx, "sample bf16", 0, b.ours("sample", "bf16", n)); err != nil {
			return err
		}
	}
	return b.contest(ctx, "corpus bf16", b.rounds, b.ours("corpus", "bf16", all),
		b.peer("lm-eval", shownLMEval, "bf16", n), b.peer("minicons", shownMinicons, "bf16", n))
}

// long is every position of long texts.
func (b *bench) long(ctx context.Context) error {
	for _, dtype := range []string{"f32", "bf16"} {
		err := b.contest(ctx, "long "+dtype, b.rounds, b.ours("long", dtype, 1), b.peer("long", shownLong, dtype, 1))
		if err != nil {
			return err
		}
	}
	return nil
}

// versus is a row of the results: ours against a peer in one contest.
type versus struct {
	job, contest, peer string
	goal               float64 // how many times as fast ours is to be
	rate               bool    // shown as items/s, because the two did not do as many
}

// rows are those of the project's goals, in its order.
func (b *bench) rows() []versus {
	all := []versus{
		{"54 chat prompts, whole next-token rows, bf16", "next bf16", "next", 8, false},
		{"the same, f32", "next f32", "next", 8, false},
		{"the same, bf16", "next bf16", "next-batch", 1.5, false},
		{b.words + ", bf16", "corpus bf16", "lm-eval", 40, true},
		{"the same", "corpus bf16", "minicons", 70, true},
		{fmt.Sprintf("%s after %d prompts, an explicit reward model, bf16", b.nouns, len(b.task.Prompts)), "reward bf16", "pipeline", 10, true},
		{"8 texts of 1,024 tokens, every position, bf16", "long bf16", "long", 1, false},
		{"the same, f32", "long f32", "long", 1.3, false},
	}
	for _, m := range mixtures() {
		all = append(all,
			versus{"54 chat prompts, " + m.shown + ", bf16", m.name + " next bf16", "next", 2, false},
			versus{"words after 54 prompts, the same", m.name + " corpus bf16", "lm-eval", 20, true})
	}
	return all
}

// wholeProcesses times the paper's job and start to first number from the start of a
// process to its end, and looks at the memory of it.
func (b *bench) wholeProcesses(ctx context.Context) error {
	jobs := []wholeJob{
		{"start to first number, bf16", []string{b.exe, "first", b.path}, []string{b.python, "internal/bench/peers/first.py", b.path}, ""},
		{"54 chat prompts, bf16", b.oursArgv(b.path, "next", "bf16"), b.peerArgv("next", "bf16"), "go\n"},
		{"54 chat prompts, f32", b.oursArgv(b.path, "next", "f32"), b.peerArgv("next", "f32"), "go\n"},
		{"54 chat prompts, bf16, the peer in one batch", b.oursArgv(b.path, "next", "bf16"), b.peerArgv("next-batch", "bf16"), "go\n"},
	}
	return b.wholeTable(ctx, jobs, filepath.Join(b.model, "model.safetensors"))
}
