package rewardmodel

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/tokenize"
)

// TrainedFile is the file of a reward model's folder, an adapter's or a checkpoint's, that holds
// a Trained.
const TrainedFile = "rendering.json"

// Trained says how a reward model was trained to read texts, as package train writes it beside
// the weights. Load reads texts so, where Options leave it the choice.
type Trained struct {
	As       string                     `json:"as"`  // "chat", or "ended": Options.Raw and Ended
	BOS      string                     `json:"bos"` // of ChatOptions
	Date     string                     `json:"date,omitempty"`
	System   string                     `json:"system,omitempty"`
	Template string                     `json:"template,omitempty"` // in place of the checkpoint's own
	Vars     map[string]json.RawMessage `json:"vars,omitempty"`
}

// NewTrained is the record of texts that are rendered with these options, nil for none; ended are
// plain texts that an EOS ends.
func NewTrained(ended bool, chat *tokenize.ChatOptions) (Trained, error) {
	t := Trained{As: "chat", BOS: tokenize.BOSAuto.String()}
	if ended {
		t.As = "ended"
	}
	if chat == nil {
		return t, nil
	}
	t.BOS = chat.BOS.String()
	if ended {
		return t, nil
	}
	t.System, t.Template = chat.System, chat.Template
	if !chat.Date.IsZero() {
		t.Date = chat.Date.Format(time.DateOnly)
	}
	for name, v := range chat.Vars {
		raw, err := strictjson.Marshal(v)
		if err != nil {
			return t, fmt.Errorf("rewardmodel: variable %s: %w", name, err)
		}
		if t.Vars == nil {
			t.Vars = map[string]json.RawMessage{}
		}
		t.Vars[name] = raw
	}
	return t, nil
}

// readTrained reads the record of a folder; nil for none.
func readTrained(dir string) (*Trained, error) {
	data, err := os.ReadFile(filepath.Join(dir, TrainedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	t := &Trained{}
	if err == nil {
		err = strictjson.Unmarshal(data, t)
	}
	if err == nil && t.As != "chat" && t.As != "ended" {
		err = fmt.Errorf("as %q, wanted chat or ended", t.As)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", TrainedFile, err)
	}
	return t, nil
}

// asTrained makes the record the model's own way: of a chat where the options choose nothing, and
// of plain text where they choose neither plain text nor anything of chats. It is a doubt if they
// choose the other.
func (m *Model) asTrained(t *Trained, chosen bool) error {
	bos, err := tokenize.ParseBOS(t.BOS)
	if err != nil {
		return fmt.Errorf("%s: %w", TrainedFile, err)
	}
	ended := t.As == "ended"
	if ended && !chosen && !m.o.Raw {
		m.o.Raw, m.o.Ended = true, true
	}
	if m.o.Raw != ended || m.o.Ended != ended {
		m.doubts = append(m.doubts, fmt.Errorf("rewardmodel: %s says that it was trained on texts as %s, and it is to read them as %s", TrainedFile, t.As, m.rendering()))
		return nil
	}
	m.trained = &way{bos: bos, why: "as it was trained: " + TrainedFile}
	if ended {
		return nil
	}
	chat := m.o.Chat
	if chat.Date.IsZero() && t.Date != "" {
		if chat.Date, err = time.Parse(time.DateOnly, t.Date); err != nil {
			return fmt.Errorf("%s: date %q, wanted one such as 2024-07-26", TrainedFile, t.Date)
		}
	}
	if chat.System == "" {
		chat.System = t.System
	}
	if chat.Template == "" {
		chat.Template = t.Template
	}
	if chat.Vars == nil && len(t.Vars) > 0 {
		chat.Vars = map[string]any{}
		for name, v := range t.Vars {
			chat.Vars[name] = v
		}
	}
	return nil
}
