package serve

import (
	"net/http"
	"strings"
)

// model finds the model that a request names: by its name, or as "tuned" or "base"; the
// first one where the request names none.
func (s *Server) model(name string) (m *Model, at int, err error) {
	for i, m := range s.models {
		if name == "" || name == m.Name || s.base >= 0 && name == [...]string{"tuned", "base"}[i] {
			return m, i, nil
		}
	}
	names := make([]string, len(s.models))
	for i, m := range s.models {
		names[i] = m.Name
	}
	return nil, 0, fail(http.StatusNotFound, "invalid_request_error", "model", "model_not_found", "model %q is not served, wanted %s", name, strings.Join(names, " or "))
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
	Role        string `json:"role"` // "tuned", "base", or "model" where there is one
}

func (s *Server) entry(i int) modelEntry {
	role := "model"
	if s.base >= 0 {
		role = [...]string{"tuned", "base"}[i]
	}
	m := s.models[i]
	return modelEntry{ID: m.Name, Object: "model", Created: s.started.Unix(), OwnedBy: "implicitreward", MaxModelLen: m.MaxTokens(), Role: role}
}

func (s *Server) listModels(w http.ResponseWriter, r *http.Request) {
	list := make([]modelEntry, len(s.models))
	for i := range s.models {
		list[i] = s.entry(i)
	}
	writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": list})
}

func (s *Server) oneModel(w http.ResponseWriter, r *http.Request) {
	_, i, err := s.model(r.PathValue("model"))
	if err != nil {
		writeError(w, asAPI(err))
		return
	}
	writeJSON(w, http.StatusOK, s.entry(i))
}

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
