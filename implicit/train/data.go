package train

// Data are rows to train on or to evaluate, as Read reads them. Tokens they become when a model's
// tokenizer is at hand: see encode.
type Data struct {
	hash string // SHA-256 of the file, in hex: a resumed run must read the same
}

// row is a row in tokens: a pair, chosen before rejected, or a text alone.
type row struct {
	number int    // in its file, from 1
	source string // its column source; "" without one
	margin float64
	texts  []text
}

// text is a text in tokens. Those from from on are trained by dpo, sft and lm; reward reads the
// state of the last.
type text struct {
	ids  []int32
	from int
}
