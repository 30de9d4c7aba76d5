package train

// Data are rows to train on or to evaluate.
type Data struct {
	rows []row
	hash string // SHA-256 of the file, in hex: a resumed run must read the same
}

// row is a pair, or a text alone.
type row struct{}
