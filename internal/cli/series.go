package cli

import (
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/logprob"
)

// names is a flag that may stand several times, where a program takes a series of models; the
// last value counts where it takes one.
type names struct {
	last *string
	all  *[]string
}

// Set adds a value.
func (n names) Set(s string) error {
	*n.last, *n.all = s, append(*n.all, s)
	return nil
}

// String returns the last value.
func (n names) String() string {
	if n.last == nil {
		return ""
	}
	return *n.last
}

var stepOf = regexp.MustCompile(`(?:step|checkpoint)[-_]?([0-9]{1,9})/*$`)

// Steps returns the steps of training at which the models of a flag were saved, which their
// names end in: step-N, or checkpoint-N as trainers write. A name without one and a step that
// comes twice are a UsageError.
func Steps(flag string, models []string) ([]int, error) {
	var steps []int
	for i, name := range models {
		m := stepOf.FindStringSubmatch(name)
		if m == nil {
			return nil, Usagef("-%s %s, wanted a name that ends in step-N or checkpoint-N, the step of training", flag, name)
		}
		step, err := strconv.Atoi(m[1])
		if err != nil {
			return nil, err // not of nine digits
		}
		if j := slices.Index(steps, step); j >= 0 {
			return nil, Usagef("-%s: %s and %s are both of step %d, wanted each step once", flag, models[j], models[i], step)
		}
		steps = append(steps, step)
	}
	return steps, nil
}

// Release frees a model before the loader is closed; it must no longer be used.
func (l *Loader) Release(m *logprob.Model) error {
	maps.DeleteFunc(l.models, func(_ string, loaded *logprob.Model) bool { return loaded == m })
	return m.Close()
}

// ReleaseRM is Release for a reward model.
func (l *Loader) ReleaseRM(m *RM) error {
	l.rms = slices.DeleteFunc(l.rms, func(loaded *rewardmodel.Model) bool { return loaded == m.Model })
	return m.Close()
}
