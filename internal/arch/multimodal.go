package arch

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// towers are what multimodal checkpoints hold beside their text part, and texts do not touch.
var towers = []string{"vision_tower.", "multi_modal_projector.", "visual.", "audio_tower.", "embed_vision.", "embed_audio.", "vision_embedder.", "vision_model."}

// text is the text part of a multimodal config: text_config, whose model_type is one of kinds, and
// the first without one.
func (c *config) text(kinds ...string) *config {
	text := c.object("text_config")
	if text == nil {
		c.fail("text_config is missing")
		text = &config{modelType: c.modelType, read: map[string]bool{}, parent: c}
	}
	c.ignore("vision_config")
	if text.keys == nil {
		text.keys = map[string]json.RawMessage{}
	}
	kind := text.string("model_type", kinds[0])
	if !slices.Contains(kinds, kind) {
		text.refuse("model_type")
		kind = kinds[0]
	}
	text.modelType = kind
	return text
}

// tie says whether the text part's embeddings are tied; its own config may not say otherwise.
func (c *config) tie(tied bool) {
	only(c, "tie_word_embeddings", tied)
	c.keys["tie_word_embeddings"] = json.RawMessage(strconv.FormatBool(tied))
}

// inner is the model of a text part, of the family that builds it.
func (c *config) inner(of build, exists func(string) bool) *Model {
	m := of(c, exists)
	c.modelType = c.parent.modelType // of whose config.json errors tell
	c.leftovers()
	m.Multimodal = true
	m.Names.Trunk = []string{"model.language_model.", "language_model.model.", "model."}
	m.Names.Head = append(m.Names.Head, "lm_head", "language_model.lm_head")
	ignored := m.Ignored
	m.Ignored = func(name string) bool {
		for _, part := range towers {
			if strings.HasPrefix(name, part) || strings.HasPrefix(name, "model."+part) {
				return true
			}
		}
		return ignored != nil && ignored(name)
	}
	return m
}

// textNames are the prefix of a checkpoint's tensors and the name of the head's matrix: text models
// have "model.", or nothing where they were saved without their head; multimodal ones
// "language_model.model." (v4) or "model.language_model." (v5).
func textNames(exists func(string) bool) (prefix, head string) {
	for _, names := range [][2]string{
		{"language_model.model.", "language_model.lm_head"},
		{"model.language_model.", "lm_head"},
		{"", "lm_head"},
	} {
		if exists(names[0] + "embed_tokens.weight") {
			return names[0], names[1]
		}
	}
	return "model.", "lm_head"
}
