package serve

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
)

// model finds the language model that a request names: by its name, or as "tuned" or "base";
// the first one where the request names none.
func (s *Server) model(name string) (m *Model, at int, err error) {
	for i, m := range s.models {
		if name == "" || name == m.Name || s.base >= 0 && name == [...]string{"tuned", "base"}[i] {
			return m, i, nil
		}
	}
	refused := func(format string, args ...any) error {
		return fail(http.StatusNotFound, "invalid_request_error", "model", "model_not_found", format, args...)
	}
	if len(s.models) == 0 {
		return nil, 0, refused("the server has an explicit reward model alone (/v1/reward, /classify, /score, /get_reward), and this is asked of a language model: start it with -model, or -tuned and -base, too")
	}
	names := make([]string, len(s.models))
	for i, m := range s.models {
		names[i] = m.Name
	}
	wanted := strings.Join(names, " or ")
	if s.isRM(name) {
		return nil, 0, refused("model %q is a reward model, and this is asked of a language model: wanted %s", name, wanted)
	}
	return nil, 0, refused("model %q is not served, wanted %s", name, wanted)
}

// isRM tells whether a request names the reward model and no language model.
func (s *Server) isRM(name string) bool {
	if s.rm == nil || slices.ContainsFunc(s.models, func(m *Model) bool { return m.Name == name }) {
		return false
	}
	return name == "rm" || name == s.rm.Name || name == "" && len(s.models) == 0
}

// eos is the id of the token that ends a text, -1 where the tokenizer names none.
func (m *Model) eos() int32 {
	t := m.Tokenizer()
	if t == nil {
		return -1
	}
	name, ok := t.SpecialToken("eos_token")
	if !ok {
		return -1
	}
	if ids, _, err := t.Encode(name); err == nil && len(ids) == 1 {
		return ids[0]
	}
	return -1
}

// modelEntry is OpenAI's, and vLLM's max_model_len.
type modelEntry struct {
	ID          string `json:"id"`
	Object      string `json:"object"`
	Created     int64  `json:"created"`
	OwnedBy     string `json:"owned_by"`
	MaxModelLen int    `json:"max_model_len"`
	Role        string `json:"role"` // "tuned", "base", "model" where there is one language model, or "rm"
	*rmEntry
}

// rmEntry is what is said of a reward model beside.
type rmEntry struct {
	Head      string      `json:"head"`    // its kind and tensors
	Output    string      `json:"output"`  // what is the reward, "" for the head's own
	Outputs   []string    `json:"outputs"` // names
	Pooling   string      `json:"pooling"`
	Normalize bool        `json:"normalize"`
	Rendering rmRendering `json:"rendering"` // where a request does not say
}

// entry describes the model number i of the queue.
func (s *Server) entry(i int) modelEntry {
	if i == len(s.models) {
		facts := s.rm.Facts
		e := modelEntry{ID: s.rm.Name, Object: "model", Created: s.started.Unix(), OwnedBy: "implicitreward", MaxModelLen: s.rm.MaxTokens(), Role: "rm"}
		e.rmEntry = &rmEntry{Head: facts.Head, Output: facts.Output, Outputs: s.rm.Outputs(), Pooling: poolingOf(facts), Normalize: facts.Normalize,
			Rendering: rmRendering{s.rm.as(), facts.BOS}}
		return e
	}
	role := "model"
	if s.base >= 0 {
		role = [...]string{"tuned", "base"}[i]
	}
	m := s.models[i]
	return modelEntry{ID: m.Name, Object: "model", Created: s.started.Unix(), OwnedBy: "implicitreward", MaxModelLen: m.MaxTokens(), Role: role}
}

func (s *Server) listModels(w http.ResponseWriter, r *http.Request) {
	list := make([]modelEntry, len(s.queue.models))
	for i := range list {
		list[i] = s.entry(i)
	}
	writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": list})
}

func (s *Server) oneModel(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("model")
	i := len(s.models)
	if !s.isRM(name) {
		var err error
		if _, i, err = s.model(name); err != nil {
			writeError(w, asAPI(err))
			return
		}
	}
	writeJSON(w, http.StatusOK, s.entry(i))
}

// poolingOf is the rule of a model's provenance, the true last token where it says none.
func poolingOf(m rewardmodel.Meta) string { return cmp.Or(m.Pooling, rewardmodel.Last.String()) }

func (s *Server) healthy(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// ready is 503 once the shutdown has begun.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if s.stopping.Load() {
		writeError(w, errClosed)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
}
