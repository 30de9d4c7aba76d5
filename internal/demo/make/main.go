// Command make writes the demonstration's models, from nothing but its own text and seeds:
//
//	go run ./internal/demo/make -out internal/demo/data
//
// Every weight is a short binary fraction that float16 holds exactly, and all sums of them are
// exact as well: the bytes are the same on every machine. A test compares them.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/internal/demo"
)

func main() {
	log.SetFlags(0)
	out := flag.String("out", "data", "the folder to write to")
	flag.Parse()
	files, err := makeAll()
	if err != nil {
		log.Fatal(err)
	}
	for name, content := range files {
		path := filepath.Join(*out, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o666); err != nil {
			log.Fatal(err)
		}
	}
}

// makeAll returns the content of each file by its path below the folder of data.
func makeAll() (map[string][]byte, error) {
	files := map[string][]byte{"words.csv": []byte(demo.Corpus()), "pairs.jsonl": []byte(demo.Preferences())}
	for _, pair := range demo.Pairs() {
		f := families[pair.Name]
		vocab, err := f.vocabulary()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", pair.Name, err)
		}
		net := newNetwork(f, vocab)
		for _, model := range []struct {
			name, eos, template string
			config              []byte
			tensors             []checkpoint.Tensor
		}{
			{"base", f.eos, "", f.configJSON(vocab), net.base()},
			{"tuned", f.eos, f.template, f.configJSON(vocab), net.tuned()},
			{"rm", f.turn, f.template, f.rewardConfigJSON(vocab), net.rewardModel()},
		} {
			folder := pair.Name + "/" + model.name + "/"
			var weights bytes.Buffer
			if err := checkpoint.Write(&weights, model.tensors, map[string]string{"format": "pt"}); err != nil {
				return nil, err
			}
			files[folder+"model.safetensors"] = weights.Bytes()
			files[folder+"config.json"] = model.config
			files[folder+"tokenizer.json"] = f.tokenizerJSON(vocab)
			files[folder+"tokenizer_config.json"] = f.tokenizerConfig(model.eos, model.template)
		}
	}
	return files, nil
}
