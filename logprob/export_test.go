package logprob

// SetWindow makes the model compute n hidden states at a time, so that a test fills several
// windows soon.
func (m *Model) SetWindow(n int) { m.engine.WindowStates = n }
