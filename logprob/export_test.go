package logprob

// SetWindow makes the model compute every n tokens, so that a test fills several
// windows soon.
func (m *Model) SetWindow(n int) { m.window = n }
