package main

import (
	"fmt"
	"io"
	"math"
	"runtime"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/tokenize"
)

// report writes what the contests found.
func (b *bench) report() error {
	if len(b.times) == 0 {
		return nil
	}
	b.sideBySide()
	b.agreements()
	return b.whereItGoes()
}

// sideBySide is the table of the goals.
func (b *bench) sideBySide() {
	t := table{head: []string{"job", "ours", "against", "theirs", "ratio", "goal", "", "others"}}
	for _, v := range b.rows() {
		ours, theirs := b.times[v.contest][oursName], b.times[v.contest][v.peer]
		if ours == nil {
			continue
		}
		show := func(x *timing) string {
			if v.rate {
				return both(1/x.best(), 1/x.median()) + " a second"
			}
			return both(x.best(), x.median()) + " s"
		}
		load := fmt.Sprintf("%.2f", ours.others)
		if theirs == nil {
			t.add(v.job, show(ours), "", "", "", fmt.Sprintf("%g", v.goal), "not measured", load)
			continue
		}
		b.compared(v.contest, ours, theirs)
		ratio := theirs.best() / ours.best()
		t.add(v.job, show(ours), theirs.shown, show(theirs), both(ratio, theirs.median()/ours.median()), fmt.Sprintf("%g", v.goal), mark(ratio >= v.goal), load)
	}
	b.section("Side by side", "SmolLM2-135M-Instruct, and random weights in the shapes of two mixtures of experts. Two or three processes, each with its model loaded and the job done once before, take turns; from text to numbers. The last column is how many of the %d processors others used in the rounds that count, at most: above %.2f they are disturbed. Of the corpus job and of the reward job, whose head is random, the peers do a random sample of %d; of mixtures the job has every %dth word, and the sample is %d.", runtime.NumCPU(), quietProcessors, len(b.task.Sample), mixedWords, mixedSample)
	b.table(t)
	seen := map[string]bool{}
	for _, v := range b.rows() {
		if p := b.times[v.contest][v.peer]; p != nil && !seen[p.shown] {
			seen[p.shown] = true
			fmt.Fprintf(&b.text, "\n- %s: %s", p.shown, p.ready.Settings)
		}
	}
	if len(seen) > 0 {
		b.text.WriteString("\n")
	}
}

// agreements is the table of numbers.
func (b *bench) agreements() {
	all := b.numbers.compareAll()
	if len(all) == 0 {
		return
	}
	t := table{head: []string{"numbers", "how many", "peer", "ours: largest difference, nats", "mean", "the peer's: largest", "mean", ""}}
	short := func(x float64) string { return fmt.Sprintf("%.2g", x) }
	for _, a := range all {
		verdict := a.verdict()
		if verdict != "" {
			b.wrong = append(b.wrong, a.what+" and "+a.against)
		} else {
			verdict = "agree"
		}
		largest, mean := "", ""
		if a.theirs != nil {
			largest, mean = short(a.theirs.max), short(a.theirs.mean)
		}
		t.add(a.what, figureInt(a.ours.n), a.against, short(a.ours.max), short(a.ours.mean), largest, mean, verdict)
	}
	b.section("The numbers", "In float32, ours against the peer's, wanted within %g nats. In bfloat16, ours and the peer's against that peer in float32: ours must be nearer. (lm-eval counts the white space at the end of a context to the continuation, so that there the line break of the chat template is part of the reply.)", f32Tolerance)
	b.table(t)
}

func figureInt(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return figure(float64(n))
}

// whereItGoes shows what our time was spent on, and how far from plain products it is.
func (b *bench) whereItGoes() error {
	tok, err := tokenize.Load(b.model)
	if err != nil {
		return err
	}
	defer tok.Close()
	backend, err := cli.Backend("auto", io.Discard)
	if err != nil {
		return err
	}
	defer backend.Finalize()
	before := machineLoad()
	t := table{head: []string{"job", "texts", "tokens", "nodes", "of them with a head", "load, s", "compile, s", "job, s", "making tokens meanwhile, s", "GFLOP/s", "plain products", "share", "goal 80 %"}}
	lmEval, all, err := b.spent(backend, tok, "", b.task)
	if err != nil {
		return err
	}
	for _, m := range mixtures() {
		if b.mixes[m.name] == nil {
			continue
		}
		_, more, err := b.spent(backend, tok, m.name+" ", b.mixes[m.name])
		if err != nil {
			return err
		}
		all = append(all, more...)
	}
	for _, row := range all {
		t.add(row...)
	}
	load, texts := before+" to "+machineLoad(), len(b.task.Prompts)*len(b.task.Forms)
	b.section("Where our time goes", "Nodes are the different beginnings of texts that have to be computed, instead of the tokens. Compile is what the first job takes longer than the best. GFLOP/s counts the matrix products of blocks and head, without attention, over the job, in which the tokens of the first texts are made before and of the others meanwhile; plain products are these same shapes at %d rows, one by one, the operands in the job's dtype, the result in float32, the better layout of the weights, of a mixture those of as many experts as a token chooses (load average %s). lm-eval computes texts once that differ in their last token only: of the whole corpus job it would compute %s instead of %s texts, so that its figure above could be up to %s times as high.",
		productRows, load, figureInt(lmEval), figureInt(texts), figure(float64(texts)/float64(lmEval)))
	b.table(t)
	return nil
}

// spent are the rows of a task's contests, whose names begin with at, in the table of where our
// time went, and how many texts lm-eval would compute for the whole corpus job.
func (b *bench) spent(backend compute.Backend, tok *tokenize.Tokenizer, at string, task *task) (lmEval int, rows [][]string, err error) {
	next, corpus, long, lmEval, err := countTask(task, tok)
	if err != nil {
		return 0, nil, err
	}
	c, err := readConfig(task.Model)
	if err != nil {
		return 0, nil, err
	}
	plains := map[dtypes.DType]plain{}
	for _, row := range []struct {
		contest string
		counts  counts
		dtype   dtypes.DType
	}{
		{"next bf16", next, dtypes.BFloat16},
		{"next f32", next, dtypes.Float32},
		{"corpus bf16", corpus, dtypes.BFloat16},
		{"long bf16", long, dtypes.BFloat16},
		{"long f32", long, dtypes.Float32},
	} {
		ours := b.times[at+row.contest][oursName]
		if ours == nil {
			continue
		}
		if _, ok := plains[row.dtype]; !ok {
			if plains[row.dtype], err = plainProducts(backend, c, row.dtype); err != nil {
				return 0, nil, err
			}
		}
		n := row.counts
		seconds := best(ours.seconds)
		operations, plain := c.operations(n), plains[row.dtype].of(c, n)
		share := plain / seconds
		rows = append(rows, []string{at + row.contest, figureInt(n.texts), figureInt(n.tokens), figureInt(n.nodes), figureInt(n.heads),
			figure(ours.ready.Load), figure(math.Max(0, ours.first-seconds)), figure(seconds), figure(best(ours.encode)),
			figure(operations / seconds / 1e9), figure(operations / plain / 1e9), fmt.Sprintf("%.0f %%", 100*share), mark(share >= 0.80)})
	}
	return lmEval, rows, nil
}
