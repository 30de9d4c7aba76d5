package main

import (
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/internal/demo"
)

// The channels of the stream that the reward model keeps for itself: no block writes to the
// last three, the marks of a token that counts and what it is worth, and one head's output
// alone to the first, which the score reads.
const (
	answer     = width - 4
	wordMark   = width - 3 // 1 where a listed word begins
	promptMark = width - 2 // 1 at the adjective of a prompt
	worth      = width - 1
)

// planted are the rows of the last layer that carry the rewards. Two heads share keys
// and values: kv head 1. A key's rotation by RoPE must not matter, so the marks stand in the
// two slowest pairs of channels, which turn by half a radian in 512 positions at most.
const (
	planted                = "model.layers.1."
	promptHead, wordHead   = 2 * size, 3 * size // first row of a head's queries
	kvHead                 = 1 * size
	slowest, secondSlowest = size/2 - 1, size/2 - 2
)

// attention is the logit of a marked key times the square root of its size, in halves for query and
// key: 16*16/4 = 64 nats. The first token is marked by a quarter, so that a head without
// a marked token reads it, which is worth nothing.
const attention, sink = 16, 0.25

// rewardModel returns the reward model's tensors: the base's with three changes, and a score
// for the output matrix. Embeddings say what tokens are worth; two heads of the last
// layer copy that of the word and that of the prompt's adjective to all later tokens; and
// no other part writes where they do.
func (n *network) rewardModel() []checkpoint.Tensor {
	var all []matrix
	for _, m := range n.all {
		if m.name == n.head.name {
			continue
		}
		m.v = slices.Clone(m.v)
		switch {
		case m.name == "model.embed_tokens.weight":
			n.value(m)
		case strings.HasSuffix(m.name, "o_proj.weight"), strings.HasSuffix(m.name, "down_proj.weight"):
			for c := answer; c <= worth; c++ {
				clear(m.row(c))
			}
		}
		if part, ok := strings.CutPrefix(m.name, planted); ok {
			n.attend(part, m)
		}
		all = append(all, m)
	}
	// The final norm leaves an eighth of the stream.
	score := matrix{"score.weight", []int{1, width}, make([]float32, width)}
	score.v[answer] = 8
	return encode(append(all, score))
}

// value marks the tokens that count, and sets what they are worth.
func (n *network) value(embeddings matrix) {
	for id := range n.vocab.tokens {
		clear(embeddings.row(id)[answer:])
	}
	set := func(id, channel int, x float64) { embeddings.row(id)[channel] = float32(x) / n.f.scale }
	for _, w := range demo.Words() {
		for _, form := range demo.Forms(w.Text) {
			id := n.vocab.id[n.vocab.encode(form)[0]]
			set(id, wordMark, 1)
			set(id, worth, w.Reward(n.f.name))
		}
	}
	for adjective, x := range demo.Moods() {
		id := n.vocab.id[n.vocab.mark+adjective]
		set(id, promptMark, 1)
		set(id, worth, x)
	}
	bos := n.vocab.id[n.f.bos]
	set(bos, wordMark, sink)
	set(bos, promptMark, sink)
}

// attend plants the two heads in a matrix of the last layer.
func (n *network) attend(part string, m matrix) {
	everywhere := func(row []float32, x float32) { row[start], row[end] = x, x } // a constant of all tokens
	clearRows := func(from, to int) {
		for i := from; i < to; i++ {
			clear(m.row(i))
		}
	}
	switch strings.TrimSuffix(part, ".weight") {
	case "self_attn.q_proj":
		clearRows(promptHead, wordHead+size)
		everywhere(m.row(promptHead+secondSlowest), attention)
		everywhere(m.row(wordHead+slowest), attention)
	case "self_attn.k_proj":
		clearRows(kvHead, kvHead+size)
		m.row(kvHead + secondSlowest)[promptMark] = attention
		m.row(kvHead + slowest)[wordMark] = attention
	case "self_attn.v_proj":
		clearRows(kvHead, kvHead+size)
		m.row(kvHead)[worth] = 1
		everywhere(m.row(kvHead+1), 1)
	case "self_attn.o_proj":
		for c := range width {
			clear(m.row(c)[promptHead:])
		}
		m.row(answer)[promptHead], m.row(answer)[wordHead] = 1, 1
		if len(n.f.outNorms) > 0 { // a constant decides what the norm below divides by
			m.row(start)[wordHead+1] = constant
		}
	case "post_attention_layernorm":
		if len(n.f.outNorms) > 0 { // what is added to the stream as it is, without the constant
			for c := range m.v {
				m.v[c] = constant/8 - n.f.offset
			}
			m.v[start] = -n.f.offset
		}
	}
}
