package preference_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/implicittest"
	"github.com/implicitreward/implicitreward/implicit/preference"
)

// Rows of different shapes are read as the same preference; one that is none is refused by
// itself.
func ExampleRead() {
	data := `{"prompt": "Hi", "chosen": "Hello", "rejected": "Go", "source": "ours"}
{"chosen": "\n\nHuman: Hi\n\nAssistant: Hello", "rejected": "\n\nHuman: Hi\n\nAssistant: Go"}
{"prompt": "Hi", "response_1": "Hello", "response_2": "Go", "preference_strength": -2}`
	for row, err := range preference.Read(context.Background(), strings.NewReader(data)) {
		switch {
		case err != nil:
			fmt.Println(err) // the file cannot be read on
		case row.Err != nil:
			fmt.Println(row.Number, row.Err)
		default:
			fmt.Println(row.Number, row.Messages[0].Content, row.Chosen, row.Rejected, row.Unread)
		}
	}
	// Output:
	// 1 Hi [Hello] [Go] [source]
	// 2 Hi [Hello] [Go] []
	// 3 no "chosen", found "prompt", "response_1", "response_2", "preference_strength"
}

// The implicit reward of a pair and an explicit reward model on the same rows. The models here
// are made up; implicit.Load and rewardmodel.Load load real ones.
func ExampleScore() {
	ctx := context.Background()
	data := `{"prompt": "Hi", "chosen": "Hello", "rejected": "Go"}
{"prompt": "Hi", "chosen": "Hello", "rejected": ""}
{"prompt": "Bye", "chosen": ["Bye!", "See you"], "rejected": "Go"}`
	models := preference.Models{
		Pair: implicit.Pair{Tuned: (&implicittest.Fake{Seed: 1}).Chat(), Base: (&implicittest.Fake{Seed: 2}).Chat()},
		RM:   &implicittest.FakeRM{},
	}
	var rows []preference.Scored
	for s, err := range preference.Score(ctx, models, preference.Read(ctx, strings.NewReader(data))) {
		if err != nil {
			fmt.Println(err)
			return
		}
		if s.Err != nil {
			fmt.Println(s.Number, s.Err)
		}
		rows = append(rows, s)
	}
	summary := preference.Summarize(rows, models)
	for _, a := range summary.All.Measures {
		fmt.Println(a.Measure, a.Wins, "of", summary.All.Pairs)
	}
	// Output:
	// 2 rejected: empty, wanted text
	// reward 1 of 2
	// reward_per_token 1 of 2
	// reward_per_byte 1 of 2
	// tuned 0 of 2
	// tuned_per_token 0 of 2
	// tuned_per_byte 0 of 2
	// explicit_reward 1 of 2
}

// BenchmarkRead reads a megabyte of preferences.
func BenchmarkRead(b *testing.B) {
	line := `{"prompt": [{"role": "user", "content": "` + strings.Repeat("What is best? ", 30) + `"}], "chosen": "` + strings.Repeat("Freedom ", 60) + `", "rejected": "` + strings.Repeat("Power ", 60) + `"}` + "\n"
	data := strings.Repeat(line, 1<<20/len(line))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		for row, err := range preference.Read(b.Context(), strings.NewReader(data)) {
			if err != nil || row.Err != nil {
				b.Fatal(row.Err, err)
			}
		}
	}
}
