package study

// Options are the options of all analyses. nil is not allowed; the zero value is the
// default.
type Options struct {
	Compat bool   // follow the paper's code in everything that Differences lists
	Seed   uint64 // of every random draw
	Draws  int    // random arrangements and resamples; zero: 9999
}

func (o *Options) draws() int {
	if o.Draws == 0 {
		return 9999
	}
	return o.Draws
}
