grokscope_test(gradients operator TORCH RANKS 1 2 3 4 6 USES gs_gradients)
