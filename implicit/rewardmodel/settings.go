package rewardmodel

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// settings is a config.json. Its readers return zero values for what is absent or null.
type settings map[string]json.RawMessage

func (s settings) has(key string) bool {
	v, ok := s[key]
	return ok && string(v) != "null"
}

// read fills in the value of a key, if it is there and not null.
func (s settings) read(key string, to any, kind string) error {
	if !s.has(key) {
		return nil
	}
	if err := json.Unmarshal(s[key], to); err != nil {
		return fmt.Errorf("config.json: %s is %.60s, wanted %s", key, s[key], kind)
	}
	return nil
}

// agree is an error if the key is there with another size than the tensors have.
func (s settings) agree(key string, size int) error {
	got := size
	if err := s.read(key, &got, "an integer"); err != nil {
		return err
	}
	if got != size {
		return fmt.Errorf("config.json: %s is %d, and the tensors of the head have %d", key, got, size)
	}
	return nil
}

// text is the part of a composite config that is about text, as transformers'
// get_text_config.
func (s settings) text() (settings, error) {
	if !s.has("text_config") {
		return s, nil
	}
	var part map[string]json.RawMessage
	err := s.read("text_config", &part, "an object")
	return part, err
}

// pad returns pad_token_id, by default that of the family, -1 where there is none.
func (s settings) pad() (int32, error) {
	part, err := s.text()
	if err != nil {
		return 0, err
	}
	pad := int32(-1)
	if _, stated := part["pad_token_id"]; !stated {
		var kind string
		if err := s.read("model_type", &kind, "a string"); err != nil {
			return 0, err
		}
		if family, _ := arch.FamilyOf(kind); family.Pad != nil {
			return *family.Pad, nil
		}
	}
	if err := part.read("pad_token_id", &pad, "a token id"); err != nil {
		return 0, err
	}
	if pad < -1 { // transformers takes -1, which no token is, for a pad as well
		return 0, fmt.Errorf("config.json: pad_token_id is %d, wanted a token id", pad)
	}
	return pad, nil
}

// eos returns the ids of eos_token_id, one or a list.
func (s settings) eos() []int32 {
	part, err := s.text()
	if err != nil || !part.has("eos_token_id") {
		return nil
	}
	var one int32
	if json.Unmarshal(part["eos_token_id"], &one) == nil {
		return []int32{one}
	}
	var several []int32
	json.Unmarshal(part["eos_token_id"], &several)
	return several
}

// labels returns the names of a head's n outputs from id2label. One output needs none. The
// doubt, if not nil, is what transformers would stumble over.
func (s settings) labels(n int) (names []string, doubt, err error) {
	names = numbered("LABEL_%d", n)
	byID := map[string]string{}
	if err := s.read("id2label", &byID, "an object of labels"); err != nil {
		return nil, nil, err
	}
	count := len(byID)
	if !s.has("id2label") {
		count = 2 // transformers, configuration_utils.py: a config without labels has two
		if err := s.read("num_labels", &count, "an integer"); err != nil {
			return nil, nil, err
		}
	}
	switch {
	case n == 1 && count != 1 && !s.has("id2label"):
		return names, fmt.Errorf("rewardmodel: config.json says nothing of labels, which transformers takes for %d: it loads this head of one output only with num_labels=1", count), nil
	case n == 1 && count != 1:
		return names, fmt.Errorf("rewardmodel: config.json has id2label of %d labels, and the head one output: it is taken as it is, which transformers does only with num_labels=1", count), nil
	case count != n:
		return nil, nil, fmt.Errorf("config.json: %d labels (id2label; 2 where it is missing), and the head has %d outputs", count, n)
	}
	for id, name := range byID {
		i, err := strconv.Atoi(id)
		if err != nil || i < 0 || i >= n || strconv.Itoa(i) != id {
			return nil, nil, fmt.Errorf("config.json: id2label has the id %q, wanted 0 to %d", id, n-1)
		}
		names[i] = name
	}
	return names, nil, nil
}

// numbered are n names made of their numbers.
func numbered(format string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf(format, i)
	}
	return names
}

// normalization is what OpenRLHF writes for a reward of mean 0 and deviation 1 on its data.
type normalization struct {
	mean, std *float64
	asked     bool // normalize_reward: evaluation there applies it
}

// normalization reads the keys that OpenRLHF writes (openrlhf/models/model.py).
func (s settings) normalization() (n normalization, err error) {
	err = errors.Join(
		s.read("mean", &n.mean, "a number"),
		s.read("std", &n.std, "a number"),
		s.read("normalize_reward", &n.asked, "true or false"))
	switch {
	case err != nil:
		return n, err
	case (n.mean == nil) != (n.std == nil):
		return n, errors.New("config.json: one of mean and std, wanted both or neither")
	case n.std != nil && (!(*n.std > 0) || math.IsInf(1 / *n.std, 0)):
		return n, fmt.Errorf("config.json: std is %g, wanted more than 0", *n.std)
	}
	return n, nil
}

// has reports whether a reward can be normalised.
func (n normalization) has() bool { return n.mean != nil }
