package study

// Differences lists in what Options.Compat makes the analyses follow the paper's code
// (its repository at 5d8d2e9), and what they do otherwise: a name, the paper's way, the
// default.
var Differences = [][]string{
	{"Stars of Figure 1", "Welch's test of model x prompt medians taken as independent, Bonferroni (the script names it a permutation test, but takes Welch's p)", "Exact test over all relabelings of the models, one value a model, Holm; Welch's is in the tables"},
	{"Mixed model of Figure 1", "nlme's degrees of freedom, sequential F tests", "Satterthwaite's degrees of freedom, type III F tests; the crossed analysis adds models with intercepts of model and prompt in each cell"},
	{"Moral Foundations words", "Sanctity_Vice is left out by a range of columns: 1,652 of 2,040 words", "All words"},
	{"Stars of Figure 2", "Welch's unpaired test, Benjamini-Hochberg", "Paired over the prompts, which serve both models, Benjamini-Hochberg"},
	{"Tokens read as missing", "\"\", NA, null, None, nan ... are dropped (pandas' default), NA alone in Figure 4 (R's)", "All tokens are kept"},
	{"Tokens with the same text, Figure 2", "Each counts", "The likeliest counts, as in Figure 3 and Table 1"},
	{"Repeated dictionary entries, Figure 4", "A word counts, and takes a rank place, once an entry", "A word counts once"},
	{"Characters outside ASCII, Figures 4 and 5", "Deleted from tokens before they are compared with words", "Kept: such tokens are no forms of the word"},
	{"Files with the same bytes, Figure 4b", "Both are drawn (13k and 27k are one run)", "One is drawn, the other named"},
}
