package train

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/tokenize"
)

// Task is what is trained for: see the package documentation.
type Task string

// The tasks.
const (
	Reward Task = "reward"
	DPO    Task = "dpo"
	SFT    Task = "sft"
	LM     Task = "lm"
)

// LoRA says which low-rank paths are trained beside the frozen weights, as peft's LoraConfig
// does. Zero fields mean the paper's recipe: rank 32, alpha twice the rank, q, k, v and o.
type LoRA struct {
	R       int      `json:"r"`
	Alpha   float64  `json:"alpha"`
	Targets []string `json:"targets"` // names of linear layers, or all-linear; nil: those of the family's attention
	Dropout float64  `json:"dropout"`
	RSLoRA  bool     `json:"rslora"` // alpha/sqrt(r) in place of alpha/r
}

// Options say how a model is trained. Zero fields mean what their comments say.
type Options struct {
	Task  Task
	Model string // the base checkpoint's folder; of LM one with config.json and a tokenizer
	Out   string // folder of the result: see Run

	LoRA *LoRA  // nil: all weights are trained
	Init string // folder of an adapter or, without LoRA, a checkpoint to begin with; "": from Model

	LR          float64 // peak of the learning rate; 0: 1e-5
	Schedule    string  // constant, linear or cosine to 0; "": cosine
	Warmup      float64 // share of the steps in which LR rises from 0; ceil(Warmup*steps) of them
	Batch       int     // rows a step; 0: 16
	MicroBatch  int     // tokens computed at a time; 0: 2,048. It can show in last bits
	Epochs      float64 // passes through the data; 0: 1
	Steps       int     // in place of Epochs; 0: as many as Epochs give
	Clip        float64 // bound of the global norm of gradients; 0: 1; negative: none
	WeightDecay float64 // decoupled, of matrices alone
	Beta1       float64 // of AdamW; 0: 0.9
	Beta2       float64 // 0: 0.999
	Epsilon     float64 // 0: 1e-8

	// Chat says how conversations are rendered; nil is TRL's way, the ids of the checkpoint's own
	// template. Its BOS also counts for rows of text.
	Chat  *tokenize.ChatOptions
	Turns bool // prompt and replies that are texts are messages, of the user and the assistant

	MaxTokens int    // of a text; 0: 1,024
	Long      string // what becomes of longer ones: "drop" (""), or "cut" on the right
	Seed      uint64 // of initial weights, order and dropout
	Order     []int  // indices of rows into Data in the order of training; nil: shuffled by Seed, anew for each epoch

	Beta   float64 // of dpo; 0: 0.1
	Center float64 // of reward: weight of the mean of (r(chosen)+r(rejected))^2 in the loss
	SFT    float64 // of reward: weight w of GRM's text regulariser; loss = (1-w) BT + w (-ln sigmoid(0.1 ln p(chosen)))

	Checkpoints Cadence
	Eval        *Data // held-out rows, evaluated at every checkpoint; nil: none
	Resume      bool  // go on with what Out holds; without it a folder that exists is an error

	Backend     compute.Backend // as in logprob.Options
	DType       dtypes.DType    // of the products' operands, Float32 (0) or BFloat16
	MemoryLimit int64           // as in logprob.Options

	rows  int               // of Data, for Order
	event func(what string) // of the folder, for tests

	// Step, if not nil, is told of every step; Saved of every checkpoint, once its folder is
	// complete: a folder that rewardmodel.Load or logprob.Load takes, an adapter's beside Model.
	// A run that goes on tells again of what was done after the state that it goes on from. An
	// error of Saved ends the run.
	Step  func(Record)
	Saved func(step int, dir string) error
}

// Cadence says at which steps checkpoints are saved: always at the last, and at step 0.
type Cadence struct {
	Pow2  bool // 1, 2, 4, 8 ...
	Every int  // multiples of it; 0: none
}

// saves tells whether a checkpoint is saved after a step.
func (c Cadence) saves(step, last int) bool {
	switch {
	case step == 0 || step == last:
		return true
	case c.Pow2 && step&(step-1) == 0:
		return true
	}
	return c.Every > 0 && step%c.Every == 0
}

// Record is a line of log.jsonl: a step, with numbers from before its update.
type Record struct {
	Step     int      `json:"step"` // from 1
	Loss     float64  `json:"loss"` // mean over the step's rows (sft, lm: tokens)
	GradNorm float64  `json:"grad_norm"`
	Accuracy *float64 `json:"accuracy,omitempty"` // share of pairs with margin > 0
	Margin   *float64 `json:"margin,omitempty"`   // mean of r(chosen) - r(rejected)
	Reward   *float64 `json:"reward_mean,omitempty"`
	LR       float64  `json:"lr"`
	Epoch    float64  `json:"epoch"`
	Tokens   int64    `json:"tokens"` // so far
}
