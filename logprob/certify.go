package logprob

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/engine"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Bounds are differences of log-probabilities from those of a reference, in nats.
type Bounds struct {
	Largest float64 `json:"largest"`
	Mean    float64 `json:"mean"`
}

// Promised returns the greatest difference of this library's log-probabilities from those of
// the same weights in exact arithmetic, for matrix products in the given type (float32
// unless it is bfloat16). The tests hold SmolLM2-135M, the real model that they have, to it;
// Model.Certify checks another model on another machine.
func Promised(dtype dtypes.DType) Bounds {
	if dtype == dtypes.BFloat16 {
		return Bounds{Largest: 0.25, Mean: 0.02}
	}
	return Bounds{Largest: 1e-4, Mean: 2e-5}
}

// Certificate compares a model's numbers with those of its weights in float64, on the
// machine and backend named by the same Meta.
type Certificate struct {
	Texts    int    `json:"texts"`
	Values   int    `json:"values"` // number of log-probabilities compared
	Found    Bounds `json:"found"`
	Promised Bounds `json:"promised"`
	Holds    bool   `json:"holds"` // Found is within Promised
}

// certifyLikeliest is the number of tokens compared after each text. Most of the vocabulary
// is tokens of tiny probability, which rounding weights to bfloat16 changes more.
const certifyLikeliest = 16

// Certify computes texts in two ways: as Score and Next do, and by the definition of the
// model in float64, from the checkpoint's weights, each text alone in one dense forward. It
// compares ln p of the replies' tokens and of the 16 likeliest tokens after each text. The
// certificate is part of Meta from then on. A Store is neither read nor written.
//
// Without texts it takes built-in ones: short replies to a prompt, replies to a long one,
// and a text of several batches, cut to the model's context. The reference takes about ten
// times as long as Score, and memory for one block in float64, whatever MemoryLimit says,
// plus, for attention, 8 bytes for each head and pair of tokens of a text.
//
// Errors are those of Score; a text of no tokens is one too, and so is a backend that does
// not compute in float64. Exceeded bounds are not an error: see Certificate.Holds.
func (m *Model) Certify(ctx context.Context, texts []tokenize.Encoded) (Certificate, error) {
	c, err := m.certify(ctx, texts)
	if err != nil {
		return Certificate{}, fmt.Errorf("logprob: %s: certificate: %w", m.dir, err)
	}
	m.certifying.Lock()
	defer m.certifying.Unlock()
	m.certificate = &c
	return c, nil
}

func (m *Model) certify(ctx context.Context, texts []tokenize.Encoded) (Certificate, error) {
	if len(texts) == 0 {
		var err error
		if texts, err = m.certifyTexts(); err != nil {
			return Certificate{}, err
		}
	}
	asked, ids := make([]engine.Request, len(texts)), make([][]int32, len(texts))
	for i, t := range texts {
		asked[i], ids[i] = engine.Request{IDs: t.IDs, From: t.Reply, Distribution: true}, t.IDs
	}
	var got []engine.Result
	for r, err := range m.engine.Fresh(ctx, slices.Values(asked)) {
		if err != nil {
			return Certificate{}, err
		}
		got = append(got, r)
	}
	reference := arch.Dense{Model: m.arch, Backend: m.backend, Device: m.engine.Devices()[0], DType: dtypes.Float64, Rows: m.weightRows}
	want, err := reference.LogProbs(ctx, ids)
	if err != nil {
		return Certificate{}, err
	}
	c := Certificate{Texts: len(texts), Promised: Promised(m.engine.DType())}
	sum := 0.0
	compare := func(got float32, want float64) {
		d := math.Abs(float64(got) - want)
		c.Found.Largest = max(c.Found.Largest, d) // NaN if either is
		sum += d
		c.Values++
	}
	for i, r := range got {
		for j, x := range r.LogProbs {
			compare(x, want[i].Tokens[asked[i].From-1+j])
		}
		for _, v := range likeliest(want[i].Next, certifyLikeliest) {
			compare(r.Distribution[v], want[i].Next[v])
		}
	}
	c.Found.Mean = sum / float64(c.Values)
	if math.IsNaN(sum) || math.IsInf(sum, 0) {
		return Certificate{}, errors.New("log-probabilities that are not finite, where float64 gives finite ones")
	}
	c.Holds = c.Found.Largest <= c.Promised.Largest && c.Found.Mean <= c.Promised.Mean
	return c, nil
}

// likeliest returns the n tokens of a row with the highest values.
func likeliest(row []float64, n int) []int {
	order := make([]int, len(row))
	for v := range order {
		order[v] = v
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(row[b], row[a]) })
	return order[:min(n, len(order))]
}

// weightRows returns rows of a tensor of the checkpoint, as float32.
func (m *Model) weightRows(t arch.Tensor, from, to int) ([]float32, error) {
	w, ok := m.weights.Get(t.Name)
	if !ok {
		return nil, errors.New("no tensor " + t.Name)
	}
	return w.Rows(from, to).Float32s()
}

// The texts of a certificate: with most tokenizers the long prompt is about 150 tokens, and
// the whole passage more than a batch.
const (
	certifyPrompt = "In one word, what is the greatest thing ever?"
	certifyLong   = `The harbour lay still that morning. Two boats had come in before sunrise, the first with 340 kilograms of herring, the
second with nothing but a torn net and a crew that would not say what had torn it. Anna, who kept the books of the harbour office,
wrote both into her list: name, hour, catch, remarks. Under remarks she wrote "none", because nobody had made any, and then she sat
for a while and looked at the word. Her grandmother used to say that the sea keeps no secrets, it only tells them slowly. By noon the
whole town knew. The net had not been torn by a rock, and not by a whale either; it had been cut, cleanly, in eleven places, with`
	certifyRest = ` a knife. "Who would do such a thing?" asked the baker. "Somebody who cannot swim," said the priest, and he was not
joking. Der alte Lotse schwieg, wie immer. Le lendemain, il faisait froid. Все молчали. 海は静かだった。
At 14:05 the mayor called a meeting, which 27 of 1,912 inhabitants attended. The minutes are short: (1) the crew is to be paid in
full; (2) the cost of the net, $4,180.50, is borne by the town; (3) whoever did it has until Friday to say so, and will be forgiven.
On Friday, at ten minutes to midnight, Anna put on her coat, took the lantern and the knife, and walked down to the water to tell
them why.`
)

// certifyTexts returns Certify's built-in texts; for a checkpoint without a tokenizer, token
// ids drawn with a fixed seed.
func (m *Model) certifyTexts() ([]tokenize.Encoded, error) {
	encode := func(prompt, reply string) (tokenize.Encoded, error) { return m.tok.Raw(prompt, reply) }
	if m.tok == nil {
		encode = func(prompt, reply string) (tokenize.Encoded, error) { // one token for every four bytes
			r := rand.New(rand.NewPCG(1, uint64(len(prompt))))
			var t tokenize.Encoded
			for range (len(prompt) + len(reply) + 3) / 4 {
				t.IDs = append(t.IDs, int32(r.IntN(m.arch.V)))
			}
			t.Reply = max(len(prompt)/4, 1)
			return t, nil
		}
	}
	var all []tokenize.Encoded
	for _, text := range [][2]string{
		{certifyPrompt, " Freedom"}, {certifyPrompt, " love"}, {certifyPrompt, " To be left in peace by everybody."},
		{certifyLong, " scissors"}, {certifyLong, " something that nobody had seen before"}, {certifyLong[:3], certifyLong[3:] + certifyRest},
	} {
		t, err := encode(text[0], text[1])
		if err != nil {
			return nil, err
		}
		t.IDs = t.IDs[:min(len(t.IDs), m.longest)]
		t.Reply = min(max(t.Reply, 1), len(t.IDs))
		all = append(all, t)
	}
	return all, nil
}
