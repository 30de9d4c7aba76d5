// Package gradient computes log-probabilities and final states of token sequences, and the
// gradient of a loss with respect to weights.
//
// The texts of one training example are a group: what they have in common, the prompt, is
// computed once, as a tree whose tokens lie depth first (layout.go). Groups are packed into
// rows of one length L; R rows are a pass. A token sees those that lead to it and no other:
// key j of its row exactly if j <= i < exit[j].
//
// A pass goes through the model layer by layer, forward and, once the caller has said what the
// derivatives of its loss with respect to the outputs are, backward (pass.go). Between the two
// are kept the blocks' inputs, what their linear layers and their attention give, and the
// log-sum-exp of attention's scores (attention.go); what lies between these is computed again, in
// the same graph as its vector-Jacobian product (graphs.go), recurrences whole (recurrence.go). Blocks that are alike share one
// executable. On XLA's CPU client the rows of a pass go through a block as several parts beside each
// other (part.go). The head takes the vocabulary a slice at a time, in both directions
// (head.go): with g the derivative of the loss by ln p(t), that by the logit z_v is
// g (1[v=t] - p_v), which a slice computes from the log-sum-exp over all of them.
//
// Frozen weights are the engine's, shared with scoring. Trained ones, the matrices of an
// adapter's side paths or all weights, are float32 (params.go), in main memory and on the
// device; the adjoints of products are computed in float32 whatever type frozen weights have.
//
// Legend, beside arch's: R rows, L tokens of a row, T = R*L.
package gradient
