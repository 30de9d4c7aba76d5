package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/regular"
)

// ggufFile returns the GGUF file that a name means: itself, or the only one of a folder that
// holds no other weights, of a model in several files the first; "" for none.
func ggufFile(name string) (string, error) {
	if strings.HasSuffix(name, ".gguf") {
		if f, _, err := regular.Open(name, 0); err == nil {
			f.Close()
			return name, nil
		}
	}
	for _, other := range []string{singleFile, indexFile, adapterConfig} {
		if f, _, err := regular.Open(filepath.Join(name, other), 0); err == nil {
			f.Close()
			return "", nil
		}
	}
	files, err := filepath.Glob(filepath.Join(globbed(name), "*.gguf"))
	first := slices.DeleteFunc(slices.Clone(files), func(f string) bool {
		part := ggufPart.FindStringSubmatch(f)
		return part != nil && part[2] != "00001"
	})
	switch {
	case err != nil || len(files) == 0:
		return "", nil
	case len(first) == 0:
		return "", fmt.Errorf("checkpoint: %s: %d files in llama.cpp's format (%s), wanted the first of them, -00001-of-, too", name, len(files), errorName(baseNames(files)))
	case len(first) > 1:
		return "", fmt.Errorf("checkpoint: %s: %d files in llama.cpp's format (%s), wanted one: name the file", name, len(first), errorName(baseNames(first)))
	}
	return first[0], nil
}

// Folder is the folder of the files beside a checkpoint's weights: of a GGUF file the one that
// holds it.
func Folder(name string) string {
	if info, err := os.Stat(name); err == nil && !info.IsDir() {
		return filepath.Dir(name)
	}
	return name
}

// globbed is a folder's name with nothing that a pattern would read otherwise.
func globbed(name string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(name)
}

func baseNames(files []string) []string {
	var names []string
	for _, f := range files {
		names = append(names, filepath.Base(f))
	}
	return names
}

// ggufPart are the names of a model in several files, as llama-gguf-split makes them.
var ggufPart = regexp.MustCompile(`^(.*)-(\d{5})-of-(\d{5})\.gguf$`)

// openGGUF maps a file and, where it is the first of several, the others.
func openGGUF(path string) (*gguf, *Weights, error) {
	g, w, err := openPart(path)
	if err != nil {
		return nil, nil, err
	}
	if err := g.join(w); err != nil {
		return nil, nil, errors.Join(err, w.Close())
	}
	return g, w, nil
}

// join adds the tensors of the other files, if any, whose metadata say of no setting anything else.
func (g *gguf) join(w *Weights) error {
	stated, said := g.metadata["split.count"]
	count, number := stated.(float64)
	if !said || number && (count == 0 || count == 1) {
		return nil
	}
	fail := func(path, format string, args ...any) error {
		return fmt.Errorf("checkpoint: %s: "+format, append([]any{path}, args...)...)
	}
	part := ggufPart.FindStringSubmatch(g.path)
	if part == nil || part[2] != "00001" || part[3] != fmt.Sprintf("%05.0f", count) || g.metadata["split.no"] != 0.0 {
		return fail(g.path, "split.no=%s, split.count=%s: one of several files, wanted the first, and its name NAME-00001-of-%05.0f.gguf", briefly(g.metadata["split.no"]), briefly(stated), count)
	}
	for i := 1; i < int(count); i++ {
		other, more, err := openPart(fmt.Sprintf("%s-%05d-of-%s.gguf", part[1], i+1, part[3]))
		if err != nil {
			return err
		}
		w.files = append(w.files, more.files...)
		for _, key := range sortedKeys(other.metadata) {
			want := g.metadata[key]
			if key == "split.no" {
				want = float64(i)
			}
			if strings.HasPrefix(key, "general.") {
				continue
			}
			if got := other.metadata[key]; got != want {
				return fail(other.path, "%s is %s, wanted %s", quote(key), briefly(got), briefly(want))
			}
		}
		if _, said := other.metadata["split.no"]; !said {
			return fail(other.path, "no split.no, wanted %d", i)
		}
		for _, t := range other.tensors {
			if _, ok := w.stored[t.Name]; ok {
				return fail(other.path, "tensor %s is in a file before it too", quote(t.Name))
			}
			w.stored[t.Name] = t
		}
	}
	if n, said := g.metadata["split.tensors.count"]; said && n != float64(len(w.stored)) {
		return fail(g.path, "split.tensors.count is %s, and the files have %d tensors", briefly(n), len(w.stored))
	}
	return nil
}

// openPart maps one file.
func openPart(path string) (*gguf, *Weights, error) {
	f, size, err := regular.Open(path, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("checkpoint: %w", err)
	}
	defer f.Close() // the mapping remains
	m, err := mapFile(f, size)
	if err != nil {
		return nil, nil, fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	s := &shared{mapping: m}
	s.users.Store(1)
	w := &Weights{tensors: map[string]Tensor{}, stored: map[string]Tensor{}, files: []*shared{s}}
	if bytes.HasPrefix(m.data, []byte("version https://git-lfs")) {
		err = errors.New("a Git LFS pointer, not the weights: run git lfs pull in its folder")
		return nil, nil, errors.Join(fmt.Errorf("checkpoint: %s: %w", path, err), w.Close())
	}
	g, err := parseGGUF(path, m.data)
	if err != nil {
		w.Close()
		return nil, nil, err
	}
	for _, t := range g.tensors {
		w.stored[t.Name] = t
	}
	return g, w, nil
}
