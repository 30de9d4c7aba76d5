// Package engine computes log-probabilities of token sequences.
//
// A token's hidden state depends on the tokens before it alone, so what requests have in
// common is computed once: one prompt followed by a thousand words costs the prompt and what
// the words add. Run gathers the requests of a stream in windows (window.go) and enters a
// window into a radix tree of token sequences (tree.go). Three short texts,
//
//	The best is | love
//	The best is | tea time
//	The worst is | war
//
// make this tree, in which only tokens are computed after which something is asked for, or
// that lead to such a one:
//
//	The --+-- best is --+-- (love)
//	      |             +-- tea (time)
//	      +-- worst is ---- (war)
//
// A plan (plan.go) lists them depth first: The best is tea worst is. It is cut into steps of
// some thousands of tokens, and a step into batches (batch.go), here of three. A step goes
// through the model block by block (step.go): each block takes all batches, one after the
// other, and hands on the keys and values that later batches see, so that only one block's
// are held, or those of a few blocks that compute at a time, each one batch behind the block
// before it (passage.go). Each token sees those that lead to it and no other (attention.go). Of the second
// batch:
//
//	      before the batch | its own
//	       The  best  is   |  tea  worst  is     base  seen  exit
//	tea     x    x    x    |   x                  0     3     1
//	worst   x              |         x            0     1     3
//	is      x              |         x    x       0     1     3
//
// Three numbers a token are the whole mask. It sees the keys from base to seen of those before
// the batch: depth-first order makes them a prefix of the path to the batch's first token. And
// it is seen by itself and those that follow until exit, counted in the batch: its descendants
// follow it without a gap. Large batches are cut into chunks, each with a path of its own.
//
// A node of the tree may hold the keys and values of its tokens, for later windows: on the host, or on an
// accelerator's own device the numbers of the rows that hold them (kept). With those
// of "The best" and "worst" saved, three tokens are left to compute:
//
//	      saved: The best worst | paths of the chunk: The best The worst | own
//	is      (The best)          |  x    x                                |  x           base 0, seen 2
//	tea     (The best is)       |  x    x                                |  x   x       base 0, seen 2
//	is      (The worst)         |             x    x                     |          x   base 2, seen 4
//
// Of recurrences, gated delta nets and Mamba 2, nodes and batches hold what is in the place of keys and
// values (arch.Layer.Kept), and a token sees the same tokens, but what a delta net's keeps is made from
// what those keep (recurrence.go).
//
// A block may attend to the keys and values of one before it (arch.Layer.Back): it holds none itself,
// and those of the step's own tokens stay on the device until the last block.
//
// What nodes hold is bounded by its bytes; the least recently used goes.
//
// Blocks whose layers are alike share an executable for each shape of batch; weights are its
// inputs (executables.go). A model of 80 layers compiles as one block, and a model larger than
// memory streams through it, each block read once a step (store.go). The head runs only where
// a log-probability is asked for, over a slice of the vocabulary at a time (head.go); whole
// distributions leave the device only where they are asked for.
package engine
