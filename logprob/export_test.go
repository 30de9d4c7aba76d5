package logprob

// SetWindow makes the model compute n hidden states at a time, so that a test fills several
// windows soon.
func (m *Model) SetWindow(n int) { m.engine.WindowStates = n }

// Unmeasured makes a model that is loaded with o take batches for invariant without measuring it.
func Unmeasured(o *Options) *Options {
	o.unmeasured = true
	return o
}

// Accelerated makes a model that is loaded with o compute as on an accelerator.
func Accelerated(o *Options) *Options {
	o.accelerated = true
	return o
}
