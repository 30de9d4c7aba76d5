package rewardmodel

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// urm is URM's head (SGLang, llama_reward.py, LlamaForSequenceClassificationWithNormal_Weights):
// score gives each attribute's mean and spread in turn, and the reward is the sum of the means
// weighed by an MLP of the same state, without a softmax. The outputs are all those of score;
// spreads weigh 0.
type urm struct {
	*about
	score linear   // [2n D]
	fc    []linear // SELU between them; the last [n D]
}

func (u *urm) of(h, _ []float64) Result {
	r := Result{Outputs: u.score.of(h), Weights: make([]float64, u.score.out)}
	w := h
	for i, l := range u.fc {
		if i > 0 {
			selu(w)
		}
		w = l.of(w)
	}
	for i, v := range w {
		r.Weights[2*i] = v
	}
	r.Reward = weighted(r.Weights, r.Outputs)
	return r
}

func (r *reader) urm() (head, error) {
	u := &urm{about: &about{kind: "urm", own: true}}
	var err error
	if u.score, err = r.linear("score", 0, r.d, nil); err != nil {
		return nil, err
	}
	in := r.d
	for _, name := range []string{"weights.fc.0", "weights.fc.2", "weights.fc.4"} {
		l, err := r.linear(name, 0, in, &yes)
		if err != nil {
			return nil, err
		}
		u.fc = append(u.fc, l)
		in = l.out
	}
	if u.score.out != 2*in {
		return nil, fmt.Errorf("score.weight has %d rows, wanted a mean and a spread for each of the %d weights of weights.fc.4", u.score.out, in)
	}
	if u.labels, _, err = r.config.labels(u.score.out); err != nil {
		return nil, err
	}
	u.tensors = fmt.Sprintf("score.weight [%d %d], weights.fc of 3 layers", u.score.out, r.d)
	return u, nil
}

// token is the logit of one token after the text: the row of a causal model's vocabulary head
// times the state, made a logit as the model makes it.
type token struct {
	*about
	linear
	logit func(product float64) float64
}

func (t *token) of(h, _ []float64) Result {
	v := t.linear.of(h)
	v[0] = t.logit(v[0])
	return single(v)
}

// tokenOutput parses "token=ID".
func tokenOutput(output string) (id int, ok bool, err error) {
	number, ok := strings.CutPrefix(output, "token=")
	if !ok {
		return 0, false, nil
	}
	if id, err = strconv.Atoi(number); err != nil || id < 0 {
		return 0, true, fmt.Errorf("output %q, wanted the id of a token: token=0", output)
	}
	return id, true, nil
}

func (r *reader) token(id int) (head, error) {
	t := &token{about: &about{kind: "token", labels: []string{fmt.Sprintf("token=%d", id)}}}
	var name string
	for _, n := range r.left {
		if isUnembedding(n) {
			if name != "" {
				return nil, fmt.Errorf("two vocabulary heads, %s and %s, wanted one", name, n)
			}
			name = n
		}
	}
	table := r.EmbeddingTable()
	tied := r.TiedEmbeddings()
	switch {
	case name == "" && !tied:
		return nil, fmt.Errorf("no lm_head.weight, and config.json does not tie it to the embeddings: the checkpoint has no logits")
	case name == "":
		name = table
	}
	row, err := r.TensorRow(name, id)
	if err == nil && len(row) != r.d {
		err = fmt.Errorf("a row of %s has %d values, wanted %d", name, len(row), r.d)
	}
	if err != nil {
		return nil, err
	}
	r.use(name)
	if tied && name != table {
		same, err := r.TensorRow(table, id)
		if err != nil {
			return nil, err
		}
		if !slices.Equal(same, row) {
			return nil, fmt.Errorf("config.json ties the vocabulary head to the embeddings, and row %d of %s differs from that of %s", id, name, table)
		}
	}
	t.linear, t.logit = linear{w: row, out: 1}, r.Logit
	t.tensors = fmt.Sprintf("row %d of %s", id, name)
	return t, nil
}
