package rewardmodel

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/tokenize"
)

// way is how a model reads a conversation.
type way struct {
	bos  tokenize.BOS
	drop bool   // the BOS that the template writes is taken away
	why  string // in a few words
}

// String is the choice as Meta has it.
func (w way) String() string {
	if w.drop {
		return "removed"
	}
	return w.bos.String()
}

// known is what the authors of a reward model say of it and its files do not.
type known struct {
	way
	labels []string
}

// The attributes of HelpSteer2, and the objectives of ArmoRM and QRM-Llama in their order
// (model cards).
var (
	helpSteer  = strings.Fields("helpsteer-helpfulness helpsteer-correctness helpsteer-coherence helpsteer-complexity helpsteer-verbosity")
	objectives = append(slices.Clip(helpSteer), strings.Fields(`
		ultrafeedback-overall_score ultrafeedback-instruction_following ultrafeedback-truthfulness ultrafeedback-honesty
		ultrafeedback-helpfulness beavertails-is_safe prometheus-score argilla-overall_quality argilla-judge_lm
		code-complexity code-style code-explanation code-instruction-following code-readability`)...)
)

var (
	ofTemplate = way{tokenize.BOSAuto, false, "the ids of the template itself, as its model card scores"}
	ofText     = way{tokenize.BOSExtra, false, "the tokenizer's BOS before the template's text, as its model card scores"}
	oneBOS     = way{tokenize.BOSAdd, false, "one BOS, as its model card scores"}
)

// knownModels are models whose way to score differs from one BOS, or is stated by their
// cards, by hub id. A name that ends with "/" is of all of an organisation.
var knownModels = map[string]known{
	"Skywork/Skywork-Reward-Gemma-2-27B":       {way: oneBOS},
	"Skywork/Skywork-Reward-Gemma-2-27B-v0.2":  {way: oneBOS},
	"Skywork/Skywork-Reward-Llama-3.1-8B":      {way: oneBOS},
	"Skywork/Skywork-Reward-Llama-3.1-8B-v0.2": {way: oneBOS},
	"nicolinho/QRM-Llama3.1-8B":                {ofTemplate, objectives},
	"nicolinho/QRM-Llama3-8B":                  {ofTemplate, objectives},
	"nicolinho/QRM-Llama3.1-8B-v2":             {ofTemplate, helpSteer},
	"nicolinho/QRM-Gemma-2-27B":                {ofTemplate, helpSteer},
	"RLHFlow/ArmoRM-Llama3-8B-v0.1":            {ofTemplate, objectives},
	"LxzGordon/URM-LLaMa-3.1-8B":               {way: ofText},
	"LxzGordon/URM-LLaMa-3-8B":                 {way: ofText},
	"Ray2333/GRM-Llama3-8B-rewardmodel-ft":     {way: ofText},
	"Ray2333/GRM-Llama3.2-3B-rewardmodel-ft":   {way: ofText},
	"Ray2333/GRM-gemma2-2B-rewardmodel-ft":     {way: ofText},
	"Ray2333/":                                 {way: way{tokenize.BOSExtra, false, "the tokenizer's BOS before the template's text, as GRM's models are trained and scored"}},
	"Oxford-HIPlab/":                           {way: way{tokenize.BOSExtra, false, "the tokenizer's BOS before the template's text, as its authors' training code encodes"}},
	"sfairXC/FsfairX-LLaMA3-RM-v0.1":           {way: way{tokenize.BOSNone, true, "no BOS, as it is trained"}},
	"nvidia/Llama-3.1-Nemotron-70B-Reward-HF":  {way: ofTemplate},
	"nvidia/Llama-3.3-Nemotron-70B-Reward":     {way: ofTemplate},
}

// knownModel returns what is known of the model that a user named, by its hub id: as typed,
// or in the hub's cache, or the name of the folder.
func knownModel(name, dir string) known {
	var ids []string
	for _, s := range []string{name, dir} {
		s, _, _ = strings.Cut(filepath.ToSlash(s), "@")
		parts := strings.Split(s, "/")
		for _, part := range parts {
			if id, ok := strings.CutPrefix(part, "models--"); ok { // models--org--name/snapshots/COMMIT
				ids = append(ids, strings.Replace(id, "--", "/", 1))
			}
		}
		if n := len(parts); n >= 2 {
			ids = append(ids, parts[n-2]+"/"+parts[n-1])
		}
		ids = append(ids, parts[len(parts)-1])
	}
	for _, id := range ids {
		if k, ok := knownModels[id]; ok {
			return k
		}
	}
	for _, id := range ids {
		org, repo, hub := strings.Cut(id, "/")
		if k, ok := knownModels[org+"/"]; ok && hub {
			return k
		}
		for full, k := range knownModels { // a folder named after the repository
			if _, name, _ := strings.Cut(full, "/"); !hub && name == org && repo == "" && name != "" {
				return k
			}
		}
	}
	return known{}
}

// label names a gate's objectives, if as many are known.
func (k known) label(a *about) {
	if len(k.labels) == len(a.labels) && (a.kind == "armorm" || a.kind == "qrm") {
		a.labels = slices.Clone(k.labels)
	}
}

// render chooses the rendering and tries it.
func (m *Model) render() error {
	_, isGated := m.head.(*gated)
	if m.Tokenizer() == nil && isGated {
		return fmt.Errorf("the head's gate reads the end of the user's turn: %w", m.lm.NoTokenizer())
	}
	if m.Tokenizer() == nil {
		return nil // token ids only
	}
	switch {
	case m.o.Chat.BOS != tokenize.BOSAuto:
		m.way = way{bos: m.o.Chat.BOS, why: "as chosen"}
	case m.trained != nil:
		m.way = *m.trained
	case m.o.Raw:
		m.way = way{why: "plain text begins as the tokenizer begins it"}
	case m.known.why != "":
		m.way = m.known.way
	case isGated || m.head.facts().kind == "token":
		m.way = way{tokenize.BOSAuto, false, "the ids of the template itself, as heads of this kind are scored"}
	default:
		var err error
		if m.way, err = m.usual(); err != nil {
			return err
		}
	}
	if isGated {
		var err error
		if m.turn, err = endOfTurn(m.Tokenizer(), *m.o.Chat); err != nil {
			return err
		}
		if m.o.Raw {
			return nil // a text of the user's own may hold it
		}
	}
	_, err := m.Encode(implicit.Item{Prompt: "x", Reply: "y"})
	return err
}

// Reading returns the model as it reads texts with another rendering: raw, or with other options
// of chats, whose BOSAuto is the model's own way as in Options. nil are those that it has. Both
// models are one on the device, and Close of either closes it.
func (m *Model) Reading(raw bool, chat *tokenize.ChatOptions) (*Model, error) {
	other := *m
	other.o.Raw, other.o.Ended = raw, raw && m.o.Ended
	if raw != m.o.Raw {
		other.trained = nil
	}
	if chat != nil {
		options := *chat
		other.o.Chat = &options
	}
	if err := other.render(); err != nil {
		return nil, fmt.Errorf("rewardmodel: %w", err)
	}
	return &other, nil
}

// ChatOptions returns how the model renders chats; its BOS is the one that was chosen for it, of
// which Facts tells what it came to.
func (m *Model) ChatOptions() tokenize.ChatOptions { return *m.o.Chat }

// usual is the way of a model of which nothing is known: one BOS, if its tokenizer puts any
// before a text.
func (m *Model) usual() (way, error) {
	t := m.Tokenizer()
	if _, err := t.Raw("x", "y"); errors.Is(err, tokenize.ErrBOS) {
		chat := *m.o.Chat
		text, failed := t.Transcript([]tokenize.Message{{Role: "user", Content: "x"}}, "y", &chat)
		name, _ := t.SpecialToken("bos_token")
		if failed == nil && name != "" && strings.HasPrefix(text.Rendered, name) {
			return way{tokenize.BOSAuto, false, "the one that the template writes, as nothing else is known of this model"}, nil
		}
		return way{}, fmt.Errorf("%w: wanted the choice of a BOS, as nothing is known of how this reward model is scored", err)
	}
	if _, ok := t.BOS(); !ok {
		return way{tokenize.BOSAuto, false, "the ids of the template itself, as the tokenizer puts no BOS before a text"}, nil
	}
	return way{tokenize.BOSAdd, false, "one BOS, as nothing else is known of this model"}, nil
}

// Encode renders the conversation with the reply as the assistant's message and without a
// generation prompt, or both as plain text (Options.Raw). Encoded.Reply is where the reply
// begins, and Encoded.Trimmed is set where the template trims it. It is an error if a gated
// head finds no end of the user's turn.
func (m *Model) Encode(it implicit.Item) (tokenize.Encoded, error) {
	var text tokenize.Encoded
	var err error
	if m.Tokenizer() == nil {
		return text, m.lm.NoTokenizer()
	}
	if m.o.Raw {
		it.EndTurn = false
		if c := it.Conversation(); m.o.Ended && len(c) == 1 && c[0].Role == "user" && len(c[0].Extra) == 0 {
			text, err = m.Tokenizer().Ended(c[0].Content, it.Reply, m.way.bos)
		} else { // or the error of a conversation
			text, err = implicit.RawBOS(m.lm, m.way.bos).Encode(it)
		}
	} else {
		chat := *m.o.Chat
		chat.BOS = m.way.bos
		text, err = m.Tokenizer().Transcript(it.Conversation(), it.Reply, &chat)
	}
	if err != nil {
		return tokenize.Encoded{}, err
	}
	if m.way.drop {
		text = m.dropBOS(text)
	}
	_, err = m.pool(text.IDs)
	return text, err
}

// dropBOS takes away the BOS that the template writes.
func (m *Model) dropBOS(t tokenize.Encoded) tokenize.Encoded {
	name, ok := m.Tokenizer().SpecialToken("bos_token")
	if !ok || !strings.HasPrefix(t.Rendered, name) || len(t.IDs) < 2 || t.Spans[0] != [2]int{0, len(name)} {
		return t
	}
	n := len(name)
	t.IDs, t.Reply = t.IDs[1:], t.Reply-1
	t.Rendered, t.Start = t.Rendered[n:], t.Start-n
	t.Spans = slices.Clone(t.Spans[1:])
	for i := range t.Spans {
		t.Spans[i][0] -= n
		t.Spans[i][1] -= n
	}
	return t
}

// endOfTurn returns the ids of what the template writes between the user's message and the
// assistant's, "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n" of Llama 3: a
// gate reads the state of the first of them.
func endOfTurn(t *tokenize.Tokenizer, chat tokenize.ChatOptions) ([]int32, error) {
	chat.BOS = tokenize.BOSNone
	const user, reply = "Where?", "Here."
	text, err := t.Transcript([]tokenize.Message{{Role: "user", Content: user}}, reply, &chat)
	if err != nil {
		return nil, fmt.Errorf("the head's gate reads the end of the user's turn: %w", err)
	}
	before := text.Rendered[:text.Start]
	i := strings.LastIndex(before, user)
	if i < 0 {
		return nil, fmt.Errorf("the head's gate reads the end of the user's turn, and the chat template does not write the user's message %q", user)
	}
	header := before[i+len(user):]
	ids, _, err := t.Encode(header)
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, errors.New("the head's gate reads the end of the user's turn, and the chat template writes nothing between the user's message and the assistant's")
	}
	return ids, nil
}

// rendering is how the model reads texts, in a word.
func (m *Model) rendering() string {
	switch {
	case m.o.Ended:
		return "ended"
	case m.o.Raw:
		return "raw"
	}
	return "chat"
}

// Chosen says in one line which head, output, pooled token, rendering and BOS were chosen.
func (m *Model) Chosen() string {
	a := m.head.facts()
	reward := "its own reward"
	switch {
	case m.column >= 0:
		reward = fmt.Sprintf("output %q", a.labels[m.column])
	case !a.own:
		reward = fmt.Sprintf("output %q", a.labels[0])
	}
	if m.o.Normalize {
		reward += fmt.Sprintf(", normalised by mean %g and std %g", *m.norm.mean, *m.norm.std)
	}
	s := fmt.Sprintf("%s head (%s), %s; pooling %s", a.kind, a.tensors, reward, m.o.Pooling)
	if m.Tokenizer() != nil {
		s += fmt.Sprintf("; %s, BOS %s (%s)", m.rendering(), m.way, m.way.why)
	}
	if len(a.leftOut) > 0 {
		s += "; left out: " + list(a.leftOut)
	}
	return s
}
