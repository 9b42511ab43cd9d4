grokscope_test(gop metrics USES gs_gop)
grokscope_test(gop side USES gs_gop)
grokscope_test(gop gop TORCH RANKS 1 2 3 4 6 TIMEOUT 600 USES gs_gop)
grokscope_test(gop few_examples TORCH RANKS 1 2 3 6 USES gs_gop)
