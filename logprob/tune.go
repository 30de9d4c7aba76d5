package logprob

// Param is a tensor that is being trained, in main memory.
type Param struct {
	Name  string    // as in the adapter's file, or in the checkpoint
	Shape []int     // as there
	Value []float32 // Tuning.Update puts it on the device
	Grad  []float32 // the gradient, to which Pass.Backward adds
}

// TuneOptions change how a model is tuned. The zero value is a good default.
type TuneOptions struct {
	// Tokens bounds what is computed at a time, but for a group that is longer by itself; 0
	// means 2,048. Sums of gradients can differ by it in their last bits.
	Tokens int
	// Dropout is the share of the inputs of an adapter's side paths that are set to 0, the
	// rest being divided by 1-Dropout, and Seed what they are drawn by: the same for the same
	// Seed, number of the pass and group.
	Dropout float64
	Seed    uint64
}

// Outputs are numbers of a text, or the derivatives of a loss with respect to them.
type Outputs struct {
	LogProbs []float64   // ln p of each of IDs[From:]
	States   [][]float64 // final states at Request.States, [D] each
}
