// Package stats holds the statistics of word ranks and rewards: ranks, tests,
// linear and mixed models, corrections for many tests, effect sizes, resampling and
// densities. It knows nothing of language models: all input is numbers and labels.
//
// # Which function for what
//
//	What are the ranks, the middle, the quartiles?       Ranks, RanksDescending, Median, Quantiles, IQR, MAD
//	Do two independent samples differ in mean?           Welch (Student if the variances are known to be equal)
//	Do two conditions differ over the same prompts?      Paired
//	Is a mean other than mu?                             OneSample
//	As these, without normality?                         Permutation, SignFlip
//	Does one sample tend to be greater?                  MannWhitney, CliffDelta
//	Do factors and their interactions matter?            ANOVA; their size: OLS
//	As this, when rows share models, prompts or words?   Mixed, (*MixedFit).ANOVA, (*MixedFit).Contrast
//	How large is a difference?                           CohenD, HedgesG, CohenDAverage, GlassDelta, CliffDelta
//	How sure is a share?                                 Wilson
//	Do two measures go together?                         Pearson, Spearman, Kendall
//	Do ranks survive other ways to measure?              Sensitivities
//	How sure is any number, also of prompts x words?     Bootstrap, BootstrapAxes
//	Many tests at once?                                  BenjaminiHochberg, BenjaminiYekutieli, Holm, Hochberg, Bonferroni
//	What does the distribution look like?                Density, BandwidthNRD0, BandwidthScott, BandwidthSilverman
//	A p-value by hand?                                   TailT, TailF, TailNormal, QuantileT
//
// # The unit of analysis
//
// A test is as good as the independence of its values. The medians of 27 prompts
// of one model are not 27 independent facts about its family: they share the model.
// Welch and ANOVA on such rows answer "for these models"; for "models like these" take
// one value a model and Permutation, whose smallest P the number of models
// bounds (4 against 6: 1/210), or Mixed with the model as group. Where the same
// prompts serve both sides, Paired is the test; where prompts and words are both
// samples of more, Mixed with both as crossing groups, or BootstrapAxes. Mixed has
// random intercepts only: if an effect may vary between models, add the group
// "model:category" beside "model".
//
// # Conventions
//
// The log is natural and the arithmetic float64. Input is never changed. NaN
// and infinities in the input, too few values or no variance are errors, which wrap
// ErrNotFinite, ErrSampleSize, ErrZeroVariance and their like; doubt that does not
// stop the work is in the result's Warnings. Options are a pointer that may be nil:
// zero fields are the documented defaults. A p-value is two-sided unless an
// Alternative asks otherwise, is computed from a tail and never as 1 - CDF, and is 0
// only where it underflows (below 1e-308) or a statistic is infinite. Results do not
// depend on the order of rows, but for the last digits of sums; random ones depend on
// the seed alone (BootstrapAxes also on the order of units). All functions are safe for concurrent use.
//
// The numbers agree with R (stats, car, nlme, lmerTest), scipy and statsmodels to ten
// digits, or to what their optimisers leave open: see the tests, which name their
// sources.
package stats
